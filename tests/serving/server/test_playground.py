"""The playground page at the server's root, in a real browser."""

import os
import shutil
from pathlib import Path

import httpx
import pytest

from kerasbert_serving.server import LocalServer

from .headless_chromium import Browser

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    program = os.environ.get("CHROME") or next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        pytest.skip(f"needs a browser: none of {', '.join(BROWSERS)} is installed")
    browser = Browser(program, tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()


def asked(browser, times):
    browser.until(f"document.body.dataset.turns === '{times}'")


def open_page(browser, server, fragment=""):
    browser.open("about:blank")
    browser.events.clear()
    browser.open(f"{server.rest_url}/{fragment}")
    browser.until("document.getElementById('about').textContent !== 'Loading…'")


def complaints(browser):
    """Returns the errors in the console and the network log of the page."""
    events = [event for event in browser.events if event["method"] in ("Runtime.exceptionThrown", "Log.entryAdded")]
    failed = [event for event in browser.events if event["method"] == "Network.loadingFailed"]
    return [*events, *failed]


def requested(browser):
    sent = [event for event in browser.events if event["method"] == "Network.requestWillBeSent"]
    return {event["params"]["request"]["url"] for event in sent}


def test_trying_a_classifier(browser, bert_server, tmp_path):
    open_page(browser, bert_server)
    assert browser.texts("#model option") == ["answerer", "classifier", "regressor", "tagger"]
    browser.run("document.getElementById('model').value = 'classifier'; document.getElementById('model').onchange()")
    browser.until("document.getElementById('about').textContent.startsWith('classifier, version 1.')")
    browser.type("#box-text", "my card där?")
    browser.click("#ask")
    asked(browser, 1)
    reply = httpx.post(
        f"{bert_server.rest_url}/v1/models/classifier:predict", json={"inputs": {"text": ["my card där?"]}}
    ).json()["outputs"]
    assert browser.texts("#answer .row span") == reply["labels"][0]
    assert browser.texts("#answer .row output") == [f"{100 * value:.1f}%" for value in reply["probabilities"][0]]
    shown = browser.texts("#pieces .piece")
    assert [text.rstrip("0123456789") for text in shown] == ["[CLS]", "my", "card", "där", "?", "[SEP]"]
    assert browser.texts("#layer option") == ["layer 1", "layer 2"]
    assert browser.texts("#head option") == ["all heads", "head 1", "head 2"]
    assert browser.run(
        "document.getElementById('heat').width > 100 && document.getElementById('heat').toDataURL().length > 1000"
    )
    assert browser.texts("#neighbours") == ["There are no other texts yet. Send another one, or enter some above."]
    before = browser.run("document.getElementById('heat').toDataURL()")
    browser.run("document.getElementById('head').value = '1'; document.getElementById('head').onchange()")
    assert browser.run("document.getElementById('heat').toDataURL()") != before
    browser.type("#others", "my card\nwhere")
    browser.type("#box-text", "my card")
    browser.click("#ask")
    asked(browser, 2)
    assert set(browser.texts("#neighbours .row span")) == {"my card där?", "where"}
    cosines = [float(text) for text in browser.texts("#neighbours .row output")]
    assert cosines == sorted(cosines, reverse=True)
    browser.type("#box-text_pair", "card")
    browser.click("#ask")
    asked(browser, 3)
    pair = httpx.post(
        f"{bert_server.rest_url}/v1/models/classifier:predict",
        json={"signature_name": "text_pair", "inputs": {"text": ["my card"], "text_pair": ["card"]}},
    ).json()["outputs"]
    assert browser.texts("#answer .row output") == [f"{100 * value:.1f}%" for value in pair["probabilities"][0]]
    assert complaints(browser) == []
    assert all(url.startswith((bert_server.rest_url, "data:,")) for url in requested(browser))
    if os.environ.get("PLAYGROUND_PICTURE"):
        browser.screenshot(Path(os.environ["PLAYGROUND_PICTURE"]))


def test_entered_text_is_not_interpreted_as_html(browser, bert_server):
    text = "<img src=x onerror=document.title='caught'> \" & my"
    open_page(browser, bert_server, "#model=classifier")
    browser.type("#others", text + "!")
    browser.type("#box-text", text)
    browser.click("#ask")
    asked(browser, 1)
    assert browser.texts("#neighbours .row span") == [text + "!"]
    assert browser.run("document.title") == "Playground"
    assert browser.run("document.querySelectorAll('img').length") == 0
    # The address now contains the request.
    link = browser.run("location.hash")
    open_page(browser, bert_server, link)
    asked(browser, 1)
    assert browser.run("document.getElementById('box-text').value") == text


@pytest.mark.parametrize(
    ("model", "boxes", "selector"),
    [
        ("answerer", ["question", "context"], "mark"),
        ("tagger", ["text"], "p"),
        ("regressor", ["text", "text_pair"], "pre"),
    ],
)
def test_other_tasks(browser, bert_server, model, boxes, selector):
    values = "&".join(f"{name}=där+är+my+card" for name in boxes if name != "text_pair")
    open_page(browser, bert_server, f"#model={model}&{values}")
    asked(browser, 1)
    assert browser.run("[...document.querySelectorAll('#boxes textarea')].map(box => box.name)") == boxes
    assert browser.texts(f"#answer {selector}")
    assert browser.texts("#answer .error") == []
    assert complaints(browser) == []


def test_missing_signatures_are_reported(browser, echo_server):
    open_page(browser, echo_server)
    assert browser.texts("#boxes") == ["No signature of this model takes only texts, so it cannot be tried here."]
    browser.click("#ask")
    asked(browser, 1)
    assert "The model has no signature serving_default that takes only texts." in browser.texts("#answer")[0]
    assert browser.texts("#pieces") == ["The model has no signature tokenize."]
    assert browser.texts("#attention") == ["The model has no signature attention."]
    assert browser.texts("#neighbours") == ["The model has no signature embed."]
    assert complaints(browser) == []


def test_the_page_needs_nothing_from_outside_and_names_cannot_break_it(echo_version):
    name = 'a</script><b>"ü'
    with LocalServer(model_dir=echo_version.parent, model_name=name) as server:
        reply = httpx.get(server.rest_url)
        assert reply.headers["content-type"].startswith("text/html")
        assert "default-src 'none'" in reply.headers["content-security-policy"]
        assert "</script><b>" not in reply.text
        assert "https:" not in reply.text
        assert "http:" not in reply.text
        # TensorFlow Serving's paths have not changed.
        assert httpx.get(f"{server.rest_url}/v1/models/a").status_code == 404
        assert httpx.post(server.rest_url, content=b"{}").status_code == 404
