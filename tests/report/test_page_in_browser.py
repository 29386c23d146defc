"""A real browser shows the page without errors or network access, and its table sorts."""

import html
import json
import re
import shutil
import subprocess

import pytest
from synthetic_records import ABLATION, write_results

from agrm_study.report.build import make_report

BROWSER = next((b for b in ("chromium", "chromium-browser", "google-chrome", "chrome") if shutil.which(b)), None)
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium (chromium, google-chrome) on this machine")

NASTY = "<script>document.title='owned'</script>"
STUDY = (
    ABLATION.replace("[0, 1, 2, 3, 4]", "[0, 1]")
    .replace("[two_class, three_class]", "[two_class]")
    .replace("w/o SHPM", NASTY)
    .replace("question: Which", "question: <img src=https://example.org/x onerror=alert(1)> which")
)
LISTEN = """<script>
window.faults = [];
addEventListener('error', (e) => faults.push(String(e.message || e.target.src)), true);
addEventListener('securitypolicyviolation', (e) => faults.push('policy: ' + e.blockedURI));
</script>"""
PROBE = """<script>addEventListener('load', () => {
  const column = (k) => [...document.querySelectorAll('#trials tbody tr')].map((r) => r.cells[k].textContent);
  const heads = [...document.querySelectorAll('#trials th')];
  const at = (title) => heads.findIndex((h) => h.textContent === title);
  const click = (title) => { heads[at(title)].querySelector('button').click(); return column(at(title)); };
  const seen = {first: column(at('Status'))[0], up: click('Duration'), down: click('Duration'), seeds: click('Seed'),
    scores: click('Best validation F1'), heads: heads.map((h) => h.textContent)};
  seen.sorted = heads.map((h) => h.getAttribute('aria-sort')).filter(Boolean);
  seen.images = [...document.images].map((i) => [i.complete, i.naturalWidth > 50]);
  seen.requests = performance.getEntriesByType('resource').map((r) => r.name).filter((n) => !n.startsWith('data:'));
  seen.overflow = document.documentElement.scrollWidth - document.documentElement.clientWidth;
  seen.title = document.title;
  seen.faults = faults;
  document.body.style.width = '390px';
  document.body.style.margin = '0';
  document.body.style.padding = '14px';
  const wider = (e) => e.scrollWidth > e.clientWidth + 1;
  const boxes = [...document.querySelectorAll('.scroll')];
  const blocks = [...document.querySelectorAll('header, nav, h1, h2, p, figure, figcaption, .notes, img')];
  seen.phone = {
    overflow: Math.max(...blocks.map((e) => e.getBoundingClientRect().right)) - 390,
    scrolls: boxes.filter(wider).map((e) => getComputedStyle(e).overflowX),
    cut: blocks.filter((e) => e.tagName !== 'IMG' && wider(e)).map((e) => e.tagName + '.' + e.className),
  };
  const out = document.createElement('pre');
  out.id = 'seen';
  out.textContent = JSON.stringify(seen);
  document.body.append(out);
});</script>"""


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    """What the browser found on the page, and what it logged."""
    folder = tmp_path_factory.mktemp("browser")
    root = write_results(folder / "r", STUDY, subjects=18, epochs=4, failed=[("w/o MTM", "two_class", 1)])
    make_report([root], tables=["ablation", "failures"], figures=["forest", "confusion"])
    text = (root / "report.html").read_text(encoding="utf-8")
    page = folder / "page.html"
    page.write_text(text.replace("<title>", LISTEN + "<title>").replace("</body>", PROBE + "</body>"), encoding="utf-8")
    quiet = ["--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run"]
    here = [f"--user-data-dir={folder / 'profile'}", "--window-size=1200,900", "--dump-dom", page.as_uri()]
    done = subprocess.run(
        [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", *quiet, "--enable-logging=stderr", *here],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    found = re.search(r'<pre id="seen">(.*?)</pre>', done.stdout, re.DOTALL)
    assert found, done.stderr[-2000:]
    return json.loads(html.unescape(found[1])), done.stderr


def test_the_page_asks_nothing_of_the_network_and_logs_no_error(opened):
    seen, log = opened
    assert seen["requests"] == []
    assert seen["faults"] == []
    assert "CONSOLE" not in log
    assert seen["images"] == [[True, True]] * 2


def test_nothing_that_a_user_wrote_is_run(opened):
    seen, _ = opened
    assert seen["title"] == "ablation – agrm-study"


def test_the_table_of_trials_begins_with_failures_and_sorts_by_number_both_ways(opened):
    seen, _ = opened
    assert seen["first"] == "failed"
    seconds = [int(h) * 3600 + int(m) * 60 + int(s) for h, m, s in (text.split(":") for text in seen["up"] if text)]
    assert seconds == sorted(seconds)
    assert seen["down"] == seen["up"][::-1]
    assert seen["seeds"] == sorted(seen["seeds"], key=int)
    assert seen["scores"][:-1] == sorted(seen["scores"][:-1], key=float)
    assert seen["scores"][-1] == ""  # of the failed trial
    assert seen["sorted"] == ["ascending"]


def test_the_list_of_trials_has_id_seed_best_validation_score_and_duration(opened):
    seen, _ = opened
    assert seen["heads"][:6] == ["Trial", "Arm", "Task", "Seed", "Best validation F1", "Duration"]


def test_the_page_is_no_wider_than_the_window(opened):
    seen, _ = opened
    assert seen["overflow"] <= 0


def test_on_a_phone_tables_scroll_and_nothing_else_is_wider_than_the_screen(opened):
    seen, _ = opened
    assert seen["phone"]["overflow"] <= 0
    assert all(scrolls in ("auto", "scroll") for scrolls in seen["phone"]["scrolls"])
    assert seen["phone"]["scrolls"]
    assert seen["phone"]["cut"] == []
