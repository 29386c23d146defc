import io
import re
import zipfile
from html.parser import HTMLParser

import pytest
from synthetic_records import ABLATION, write_results

from agrm_study.report.answer import answer
from agrm_study.report.build import make_report
from agrm_study.report.collect import collect
from agrm_study.report.compare import compare
from agrm_study.report.measure import Measurements
from agrm_study.study.errors import InputError

SMALL = ABLATION.replace("[0, 1, 2, 3, 4]", "[0, 1]").replace("[two_class, three_class]", "[two_class]")


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    text = SMALL.replace("question: Which", "question: <script>alert(1)</script> & which")
    failed = [("w/o MTM", "two_class", 1)]
    return write_results(tmp_path_factory.mktemp("r") / "page", text, subjects=18, epochs=4, failed=failed)


class Seen(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.sources = [], []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.sources += [v for k, v in attributes if k in ("src", "href") and v]


def test_the_page_is_self_contained_escaped_and_lists_failures(root):
    make_report([root], tables=["ablation"], figures=["confusion"])
    text = (root / "report.html").read_text(encoding="utf-8")
    seen = Seen()
    seen.feed(text)
    assert all(s.startswith(("data:image/svg+xml", "#")) for s in seen.sources)
    assert not re.search(r"https?://(?!www\.w3\.org)", text)
    assert seen.tags.count("script") == 1
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "needed &lt;8 GB&gt; &amp; more" in text
    assert "PARTIAL: 7 of 8" in text
    assert "default-src 'none'" in text
    assert "not a diagnostic device" in text


def test_the_answer_names_the_reference_its_interval_and_every_difference(root):
    said = answer(Measurements(collect(root)))
    assert said.startswith("So far (7 of 8 planned trials are finished): Two-class: AGRM reaches")
    assert "95% interval [" in said
    for arm in ("w/o MTM", "w/o SHPM", "w/o both"):
        assert arm in said
    assert "n.s." not in said


def test_word_tables_are_equal_each_time_and_readable(root):
    docx = pytest.importorskip("docx", reason="python-docx is not installed")
    from agrm_study.report.renderers import RENDERERS
    from agrm_study.report.tables import table_kind

    table = table_kind("ablation").build(Measurements(collect(root)))
    content = RENDERERS["docx"](table)
    assert content == RENDERERS["docx"](table)
    assert zipfile.is_zipfile(io.BytesIO(content))
    grid = docx.Document(io.BytesIO(content)).tables[0]
    assert [c.text for c in grid.rows[1].cells][:3] == ["AGRM", "✓", "✓"]


def test_studies_are_compared_along_a_setting(tmp_path):
    a = write_results(tmp_path / "a", SMALL, subjects=18, epochs=3)
    b = write_results(
        tmp_path / "b",
        SMALL.replace("name: ablation", "name: other").replace("[0, 1]", "[0, 1, 2]"),
        subjects=18,
        epochs=3,
    )
    table = compare([a, b], "model.pooling.name", out=tmp_path / "out", formats=["md"])
    settings = [row.entries[2].text for row in table.rows]
    assert settings == sorted(settings)
    assert len(table.rows) == 8
    assert (tmp_path / "out" / "compare.md").is_file()
    with pytest.raises(InputError, match=r"ssl\.threshold\.tua.*Did you mean `ssl\.threshold\.tau`"):
        compare([a], "ssl.threshold.tua")


def test_studies_on_other_data_are_not_compared_unless_allowed(tmp_path):
    a = write_results(tmp_path / "a", SMALL, subjects=18, epochs=3)
    b = write_results(
        tmp_path / "b",
        SMALL.replace("name: ablation", "name: other"),
        subjects=18,
        epochs=3,
        change=lambda trial, blocks, rows: trial.update(data_fingerprint="data-b"),
    )
    with pytest.raises(InputError, match=r"differ in data.*data-a.*data-b.*--allow data"):
        compare([a, b], "ssl.method")
    assert len(compare([a, b], "ssl.method", allow=["data"]).rows) == 8


def test_a_page_without_figures_or_details_has_no_empty_heading(root):
    make_report([root], tables=["ablation"], figures=[])
    text = (root / "report.html").read_text(encoding="utf-8")
    assert re.findall(r"<h2[^>]*>(.*?)</h2>", text) == ["Results", "Trials", "Provenance"]
    assert re.findall(r'<a href="#([a-z-]+)">', text) == ["results", "all-trials", "provenance"]
