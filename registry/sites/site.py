"""What a site is, and the words for its kind and its connection."""

from dataclasses import dataclass

POWER_KW_MAX = 100_000

KINDS = {
    "telecom_room": "Telecom room",
    "university": "University",
    "bank": "Bank",
    "hospital": "Hospital",
    "industrial_park": "Industrial park",
    "edge_room": "Edge room",
    "other": "Other",
}
CONNECTIVITIES = {
    "fibre_redundant": "Fibre, two ways in",
    "fibre": "Fibre",
    "cable": "Cable or DSL",
    "mobile": "4G or 5G",
    "satellite": "Satellite",
}
COUNTRIES = {
    "AE": "United Arab Emirates", "AR": "Argentina", "AT": "Austria", "AU": "Australia",
    "BE": "Belgium", "BR": "Brazil", "CA": "Canada", "CH": "Switzerland", "CL": "Chile",
    "CO": "Colombia", "CZ": "Czechia", "DE": "Germany", "DK": "Denmark", "EE": "Estonia",
    "EG": "Egypt", "ES": "Spain", "ET": "Ethiopia", "FI": "Finland", "FR": "France",
    "GB": "United Kingdom", "GH": "Ghana", "GR": "Greece", "HU": "Hungary", "ID": "Indonesia",
    "IE": "Ireland", "IL": "Israel", "IN": "India", "IS": "Iceland", "IT": "Italy",
    "JP": "Japan", "KE": "Kenya", "KR": "South Korea", "LT": "Lithuania", "LU": "Luxembourg",
    "LV": "Latvia", "MA": "Morocco", "MU": "Mauritius", "MX": "Mexico", "MY": "Malaysia",
    "NA": "Namibia", "NG": "Nigeria", "NL": "Netherlands", "NO": "Norway", "NZ": "New Zealand",
    "PE": "Peru", "PH": "Philippines", "PL": "Poland", "PT": "Portugal", "RO": "Romania",
    "RW": "Rwanda", "SA": "Saudi Arabia", "SE": "Sweden", "SG": "Singapore", "SI": "Slovenia",
    "SK": "Slovakia", "SN": "Senegal", "TH": "Thailand", "TN": "Tunisia", "TR": "Türkiye",
    "TZ": "Tanzania", "UA": "Ukraine", "UG": "Uganda", "US": "United States", "UY": "Uruguay",
    "VN": "Vietnam", "ZA": "South Africa", "ZM": "Zambia",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Site:
    """A place.  tenant_id: whose it is;  country: two letters;  power_kw: what nodes may draw"""

    site_id: str
    tenant_id: str
    name: str
    city: str
    country: str
    kind: str
    connectivity: str
    power_kw: int

    @property
    def place(self) -> str:
        """City and country in words."""
        return f"{self.city}, {COUNTRIES.get(self.country, self.country)}"


@dataclass(frozen=True, slots=True)
class SiteFacts:
    """A site as it was described, before it has an id."""

    name: str
    city: str
    country: str
    kind: str
    connectivity: str
    power_kw: int


@dataclass(frozen=True, slots=True)
class SiteFigures:
    """What runs at a site.  power_now_w: None where no node reports it"""

    nodes_online: int = 0
    nodes_total: int = 0
    gpus_used: int = 0
    gpus_total: int = 0
    power_now_w: int | None = None
    simulated: bool = False
