"""The page needs no other file, cannot be broken by the names of labels, and is readable."""

import re

import numpy as np

from kerasbert.reports import Report, vocabulary_statistics, write_run_report

EVIL = (
    "<script>alert('x')</script>\" onload=\"a & b' $\\frac{1}{2}$ {{ 7*7 }} 名前 "
    '\u202e \ud800 \x00 #2460c4 id="figure_1"'
)


def evil_report() -> Report:
    report = Report(EVIL, subtitle=EVIL, created=EVIL)
    report.add_part(EVIL, note=EVIL)
    report.add_metrics({EVIL: 0.5, "per_label": {EVIL: {EVIL: 0.25}}}, title=EVIL, note=EVIL)
    report.add_metrics_table(EVIL, [EVIL, "n"], [[EVIL, 1]], note=EVIL)
    report.add_training_curves(
        [
            {"phase": phase, "step": 1 + index, "split": EVIL, EVIL: 1.0, "loss": 2.0}
            for index, phase in enumerate((EVIL, "b"))
        ]
    )
    report.add_confusion_matrix([[1, 2], [3, 4]], [EVIL, "plain"])
    report.add_length_histogram({EVIL: [1, 2, 3]}, limit=2)
    report.add_vocabulary(vocabulary_statistics([EVIL, "##" + EVIL], [[0, 1]]))
    report.add_attention([EVIL, "b"], [[[0.5, 0.5], [0.5, 0.5]], [[0.5, 0.5], [0.5, 0.5]]])
    report.add_answers([{"text": EVIL, "label": EVIL, "expected": EVIL, "rest": {"label": EVIL, "probability": 0.5}}])
    report.add_settings({EVIL: {EVIL: [EVIL]}})
    return report


def test_the_page_refers_to_no_external_file(whole_page, read_page):
    seen = read_page(whole_page)
    for attribute in ("src", "href", "xlink:href", "action", "srcset", "data"):
        for value in seen.values(attribute):
            assert value.startswith(("#", "data:")), f"{attribute}={value}"
    assert not {"script", "iframe", "object", "embed", "base", "form"} & set(seen.tags)
    assert not re.search(r"https?:|file:|//", re.sub(r"data:[\w/]+;base64,[\w+/=]*", "", whole_page))
    for style in [*seen.styles, *seen.values("style")]:
        assert "@import" not in style
        assert all(target.startswith("#") for target in re.findall(r"url\(([^)]*)\)", style))


def test_the_policy_forbids_scripts_and_requests(whole_page, read_page):
    seen = read_page(whole_page)
    assert "default-src 'none'; style-src 'unsafe-inline'; img-src data:" in seen.values("content")


def test_every_id_is_unique_and_every_reference_has_a_target(whole_page, read_page):
    seen = read_page(whole_page)
    ids = seen.values("id")
    assert len(ids) == len(set(ids))
    targets = [value[1:] for value in seen.values("href") if value.startswith("#")]
    targets += re.findall(r"url\(#([^)]+)\)", whole_page)
    assert targets
    assert set(targets) <= set(ids)


def test_no_name_breaks_the_page(tmp_path, read_page):
    path = evil_report().write(tmp_path / "report.html")
    page = path.read_text(encoding="utf-8")
    seen = read_page(page)
    assert "script" not in seen.tags
    assert not seen.values("onload")
    assert "<script" not in page
    shown = EVIL.replace("\ud800", "\ufffd").replace("\x00", "\ufffd")
    assert shown in seen.texts  # as it was typed: nothing escaped twice, no template, formula or colour taken for one
    assert "49" not in seen.text
    assert "alert('x')" in seen.text
    assert "figure_1" not in seen.values("id")


def test_the_same_data_gives_the_same_bytes():
    assert evil_report().to_html() == evil_report().to_html()


def test_colours_follow_the_theme(whole_page):
    drawings = re.findall(r"<svg.*?</svg>", whole_page, flags=re.DOTALL)
    colours = re.findall(r"(?:fill|stroke):([^;\"]+)", " ".join(drawings))
    assert colours
    assert all(colour == "none" or colour.startswith("var(--") for colour in colours)
    styles = whole_page[whole_page.index("<style>") : whole_page.index("</style>")]
    for variable in set(re.findall(r"var\((--[\w-]+)", whole_page)):
        assert f"{variable}:" in styles
    assert "@media screen and (prefers-color-scheme: dark)" in styles


def test_the_palette_is_readable_in_both_themes(whole_page):
    """Texts and lines have a contrast of at least 4.5 to the card below them (WCAG AA)."""
    light, dark = (
        dict(re.findall(r"(--[\w-]+): (#[0-9a-f]{6})", block))
        for block in re.search(r":root \{(.*?)\}.*?:root \{(.*?)\}", whole_page, flags=re.DOTALL).groups()
    )
    for theme in (light, light | dark):
        for name in ("--text", "--muted", "--accent", *(f"--series-{index}" for index in range(1, 7))):
            assert _contrast(theme[name], theme["--card"]) >= 4.5, (name, theme[name])
            assert _contrast(theme[name], theme["--page"]) >= 4.5, (name, theme[name])


def _contrast(one: str, other: str) -> float:
    def luminance(colour: str) -> float:
        channels = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
        linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
        return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_every_figure_has_a_description(whole_page, read_page):
    seen = read_page(whole_page)
    labels = [value for tag, name, value in seen.attributes if (tag, name) == ("svg", "aria-label")]
    assert len(labels) == seen.tags.count("svg")
    assert all(len(label) > 40 for label in labels)
    assert seen.tags.count("figcaption") == seen.tags.count("figure")


def test_drawing_does_not_change_the_settings_of_matplotlib(run_dir):
    import matplotlib

    matplotlib.rcParams["font.size"] = 7.5
    try:
        before = dict(matplotlib.rcParams)
        write_run_report(run_dir)
        assert dict(matplotlib.rcParams) == before
    finally:
        matplotlib.rcdefaults()


def test_a_users_matplotlib_style_has_no_effect():
    import matplotlib

    plain = evil_report().to_html()
    with matplotlib.rc_context({"axes.grid": True, "text.color": "red", "svg.fonttype": "path", "lines.linewidth": 9}):
        assert evil_report().to_html() == plain
