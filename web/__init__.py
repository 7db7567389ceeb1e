"""What both programs show: one style sheet, one page shell, filters, and the registry's pages.

Reading order: format.py (figures as people read them), badges.py (a state as tone, icon and
word), navigation.py (who sees which entry), view_models/ (what each page is given, one file per
family of pages), environment.py (the Jinja environment both sides use), templates/shared (shell,
macros), templates/registry/<room> (pages and their live parts), static/css/house.css, static/js.
"""

from pathlib import Path

TEMPLATES = Path(__file__).parent / "templates"
STATIC = Path(__file__).parent / "static"
