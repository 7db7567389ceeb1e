"""Run the demo: every step with a progress line, then stay up until Ctrl-C."""

import argparse
import shlex
import shutil
import signal
import sys
import time
from pathlib import Path
from types import FrameType

from rich.console import Console
from rich.markup import escape

from sites.demo import steps
from sites.demo.processes import DemoFailed
from sites.demo.setting import Setting, prepared

INTERRUPTED = 130
FOLDER = Path(".demo").resolve()
STEPS = (
    ("Start the registry", steps.start_registry),
    ("Set up a site", steps.set_up_site),
    ("Enrol the node", steps.enrol_node),
    ("Top up", steps.top_up),
    ("Launch a container", steps.launch),
    ("Call a model", steps.call_model),
    ("Meter, bill, release", steps.release),
    ("Verify the bill", steps.show_bill),
)


def main() -> int:
    """Return 0 only if every step held."""
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--once", action="store_true", help="tear all down after the last step")
    once = parser.parse_args().once
    console = Console(highlight=False)
    try:
        setting = prepared(FOLDER)
    except DemoFailed as failed:
        _complain(console, failed)
        return 1
    signal.signal(signal.SIGTERM, _interrupted)
    began = time.monotonic()
    shown = False
    try:
        for title, step in STEPS:
            with console.status(title):
                said = step(setting)
            console.print(
                f"[green]✓[/] {said}  [dim]{time.monotonic() - began:.0f} s[/]", soft_wrap=True
            )
        _show(console, setting)
        shown = True
        if not once:
            console.print("\nEverything stays up until Ctrl-C.")
            _watch(setting)
    except DemoFailed as failed:
        _complain(console, failed)
        console.print(f"Logs are in {setting.folder / 'logs'}.")
        return 1
    except KeyboardInterrupt:
        console.print("\nStopping.")
        return 0 if shown and not once else INTERRUPTED
    finally:
        is_down = _is_torn_down(console, setting)
    if once and not is_down:
        return 1
    if once:
        shutil.rmtree(setting.folder)
        console.print("All steps held; everything is torn down.")
    return 0


def _show(console: Console, setting: Setting) -> None:
    console.print("\n[bold]The bill[/]")
    for what, amount in steps.bill_lines(setting):
        console.print(f"  {what:<60}{amount:>14}")
    console.print(f"\nDashboard  {setting.registry_url}")
    console.print(f"Sign in    {steps.sign_in_link(setting)}", soft_wrap=True)
    again = f"{setting.registry_url}/launch?from={setting.allocation_id}"
    console.print(f"Launch     {again} (the form, filled in)", soft_wrap=True)
    console.print(f"Gateway    {setting.gateway_url}/v1 (model {steps.MODEL})")
    console.print(f"Image      type the app {steps.APP} on the launch page, or its digest")
    console.print("\nThe command, signed in to this demo:")
    console.print(
        f"  export OUTSTATION_URL={setting.registry_url} OUTSTATION_API_KEY={setting.api_key}\n"
        "  .venv/bin/outstation gpus\n"
        f"  .venv/bin/outstation launch --sku {setting.sku} --image {setting.image} "
        f"-- {shlex.join(steps.WORK)}",
        soft_wrap=True,
        markup=False,
    )
    console.print("\nCall the model:")
    console.print(
        f"  curl {setting.gateway_url}/v1/chat/completions \\\n"
        f'    -H "Authorization: Bearer {setting.api_key}" \\\n'
        '    -H "Content-Type: application/json" \\\n'
        f'    -d \'{{"model":"{steps.MODEL}","messages":[{{"role":"user","content":"Hello"}}]}}\'',
        soft_wrap=True,
        markup=False,
    )


def _complain(console: Console, failed: DemoFailed) -> None:
    console.print(f"[red]✗[/] {escape(str(failed))}", soft_wrap=True)


def _is_torn_down(console: Console, setting: Setting) -> bool:
    try:
        steps.tear_down(setting)
    except DemoFailed as failed:
        _complain(console, failed)
        return False
    return True


def _watch(setting: Setting) -> None:
    while True:
        setting.programs.check()
        time.sleep(1)


def _interrupted(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
