"""`outstation-agent` and `python -m agent`; without its extra it says what to install."""

import sys

OWN_PACKAGES = ("protocol", "web", "agent")

try:
    from agent.cli import main
except ModuleNotFoundError as missing:
    if missing.name is None or missing.name.partition(".")[0] in OWN_PACKAGES:
        raise
    sys.exit(
        f"Error: outstation-agent needs {missing.name}, which is not installed. "
        "Install Outstation with the extra: pip install 'outstation[agent]', or the wheel as "
        "'./outstation-….whl[agent]'."
    )

if __name__ == "__main__":
    main()
