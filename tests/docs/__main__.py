"""Write the generated pages, and lower the baseline of the ban list: ``python -m tests.docs``."""

from tests.docs import generated, style

for name, page in generated.PAGES.items():
    (generated.DOCS / name).write_text(page(), encoding="utf-8")
style.lower()
