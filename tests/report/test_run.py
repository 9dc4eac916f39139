"""The page that a run leaves."""

from __future__ import annotations


def test_the_page_stands_alone_and_names_the_facts(trained):
    page = (trained.run / "report" / "index.html").read_text()
    assert page.count("data:image/png;base64,") == 2
    for fact in ("cube.h5", "volseg/unet on resnet18", "0 = background", "dice/organelle"):
        assert fact in page
    assert "http://" not in page
    assert "https://" not in page
