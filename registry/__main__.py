"""`outstation-registry` and `python -m registry`; without its extra it says what to install."""

import sys

OWN_PACKAGES = ("protocol", "web", "registry")

try:
    from registry.cli import main
except ModuleNotFoundError as missing:
    if missing.name is None or missing.name.partition(".")[0] in OWN_PACKAGES:
        raise
    sys.exit(
        f"Error: outstation-registry needs {missing.name}, which is not installed. "
        "Install Outstation with the extra: pip install 'outstation[registry]', or the wheel as "
        "'./outstation-….whl[registry]'."
    )

if __name__ == "__main__":
    main()
