import shutil
from pathlib import Path

import pytest

from agrm_study.study.errors import InputError
from agrm_study.training.data.datasets import layout_of
from agrm_study.training.data.datasets.labels import read_label
from agrm_study.training.data.datasets.layout import Options, check_clips
from agrm_study.training.data.manifest import read_manifest, write_manifest


@pytest.fixture(scope="module")
def sample(tmp_path_factory, videos) -> Path:
    return videos.write(tmp_path_factory.mktemp("sample") / "a.mp4", 10)


def touch(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())


def find(layout: str, path: Path, **options: object):
    return layout_of(layout).find(path, Options(**options))


def test_an_index_reads_frames_rate_and_size_and_keeps_what_it_cannot_read_with_no_frames(tmp_path, sample):
    (tmp_path / "normal").mkdir()
    shutil.copy(sample, tmp_path / "normal" / "s1.mp4")
    touch(tmp_path, "genu varum/s2.mp4")
    steps: list[tuple[int, int]] = []
    good, bad = layout_of("folder").index(tmp_path, workers=2, on_progress=lambda *step: steps.append(step))
    assert (good.frames, good.fps, good.width, good.height, good.rotation) == (10, 25.0, 128, 64, 0)
    assert (bad.frames, bad.fps, bad.label) == (0, 0.0, "genu_varum")
    assert steps == [(1, 2), (2, 2)]
    assert read_manifest(write_manifest([good, bad], tmp_path)).clips == (good, bad)


@pytest.mark.parametrize(
    ("text", "label"),
    [("Normal", "normal"), ("GENU VARUM", "genu_varum"), ("genu-varum", "genu_varum"), ("Varus", "genu_varum"),
     ("bow legs", "genu_varum"), ("Bow-legged", "genu_varum"), ("X-leg", "genu_valgum"), ("knock knees", "genu_valgum"),
     ("valgus", "genu_valgum"), ("healthy", "normal"), ("", None), ("n/a", None)],
)  # fmt: skip
def test_usual_spellings_of_labels_are_understood(text, label):
    assert read_label(text, {}) == label


@pytest.mark.parametrize("text", ["1", "0", "abnormal", "genu"])
def test_a_label_that_nobody_can_tell_is_refused_unless_it_is_spelled_out(text):
    with pytest.raises(ValueError, match=text):
        read_label(text, {})
    assert read_label(text, {text: "genu_valgum"}) == "genu_valgum"


def test_spwvd_takes_excels_csv_with_usual_column_names(tmp_path):
    touch(tmp_path, "videos/001.mp4", "videos/002.MOV", "videos/010.mp4", "videos/extra.mp4")
    table = (
        "Subject ID;Label3;Gender;Age (years)\r\n1;Normal;M;5,5\r\n2;Genu Varum;girl;7 years\r\n10;valgus;;\r\n;;;\r\n"
    )
    (tmp_path / "labels.csv").write_bytes(("\ufeff" + table).encode())
    found = {each.path.name: each for each in find("spwvd", tmp_path)}
    assert [(e.subject_id, e.label, e.sex, e.age) for e in found.values()] == [
        ("1", "normal", "male", 5.5), ("10", "genu_valgum", None, None), ("2", "genu_varum", "female", 7.0),
        ("extra", None, None, None),
    ]  # fmt: skip
    assert {each.source for each in found.values()} == {"spwvd"}


def test_a_site_is_taken_from_the_table_or_given_for_the_rest(tmp_path, sample):
    for name in ("1.mp4", "2.mp4", "3.mp4"):
        shutil.copy(sample, tmp_path / name)
    (tmp_path / "labels.csv").write_text("subject,label3,Klinik\n1,normal, Nord \n2,varus,\n3,valgus,S\u00fcd\n")
    assert [each.site for each in find("spwvd", tmp_path)] == ["Nord", None, "S\u00fcd"]
    clips = layout_of("spwvd").index(tmp_path, Options(site="East"))
    assert [clip.site for clip in clips] == ["Nord", "East", "S\u00fcd"]
    (tmp_path / "table.csv").write_text("path,label,hospital\n1.mp4,a,N\n2.mp4,b,\n")
    assert [clip.site for clip in layout_of("manifest").index(tmp_path / "table.csv")] == ["N", None]
    (tmp_path / "table.csv").unlink()
    (tmp_path / "labels.csv").write_text(f"subject,label3,site\n1,normal,{'x' * 61}\n")
    with pytest.raises(InputError, match=r"labels.csv:2.*`site`.*at most 60 characters"):
        find("spwvd", tmp_path)


def test_spwvd_takes_a_file_column_a_folder_a_child_and_a_csv_from_elsewhere(tmp_path):
    data = tmp_path / "data"
    touch(data, "kids/anna/walk.mp4", "kids/ben/walk.mp4", "c.avi")
    table = tmp_path / "who.csv"
    table.write_text("name,diagnosis,video\nanna,normal,\nben,varus,\ncy,valgus,c.avi\n")
    found = find("spwvd", data, labels=table)
    assert [(e.subject_id, str(e.path.relative_to(data))) for e in found] == [
        ("anna", "kids/anna/walk.mp4"), ("ben", "kids/ben/walk.mp4"), ("cy", "c.avi"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("subject,label3\n1,normal\n9,normal", ["labels.csv:3", "`subject`", "no video with this name", "9"]),
        ("subject,label3\n1,2", ["labels.csv:2", "`label3`", "unknown label", "genu_varum", "--label"]),
        ("subject,label3,sex\n1,normal,maybe", ["labels.csv:2", "`sex`", "maybe"]),
        ("subject,label3,age\n1,normal,old", ["labels.csv:2", "`age`", "years"]),
        ("subject,label3\n1,normal\n01,normal", ["labels.csv:3", "already assigned"]),
        ("subject,colour\n1,normal", ["labels.csv:1", "the table has no label column", "diagnosis"]),
        ("subject,label3\n,normal", ["labels.csv:2", "must not be empty"]),
        ("subject,label3\n2,normal", ["labels.csv:2", "several videos", "a/2.mp4, b/2.mp4"]),
    ],
)
def test_spwvd_tells_what_is_wrong_with_its_csv_by_line(tmp_path, table, words):
    touch(tmp_path, "001.mp4", "a/2.mp4", "b/2.mp4")
    (tmp_path / "labels.csv").write_text(table + "\n")
    with pytest.raises(InputError) as error:
        find("spwvd", tmp_path)
    for word in words:
        assert word in str(error.value)


def test_spwvd_asks_for_the_csv_where_there_is_none_or_more_than_one(tmp_path):
    with pytest.raises(InputError, match=r"no labels CSV.*--labels"):
        find("spwvd", tmp_path)
    touch(tmp_path, "a.csv", "b.csv")
    with pytest.raises(InputError, match="several CSV files"):
        find("spwvd", tmp_path)


def test_casia_b_reads_both_folders_and_skips_backgrounds(tmp_path):
    touch(
        tmp_path,
        "DatasetB-1/video/001-nm-01-000.avi",
        "DatasetB-1/video/001-bkgrd-000.avi",
        "DatasetB-2/video/124-cl-02-180.AVI",
        "DatasetB-2/video/063-bg-01-090.avi",
    )
    found = find("casia_b", tmp_path)
    assert [(e.subject_id, e.clip_id, e.view, e.condition, e.label) for e in found] == [
        ("casia_b-001", "001-nm-01-000", 0, "nm-01", None),
        ("casia_b-063", "063-bg-01-090", 90, "bg-01", None),
        ("casia_b-124", "124-cl-02-180", 180, "cl-02", None),
    ]
    assert [e.view for e in find("casia_b", tmp_path, views=(0, 180))] == [0, 180]


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("125-nm-01-000.avi", "not a CASIA-B file name"),
        ("001-nm-07-000.avi", "not a CASIA-B file name"),
        ("001-bg-03-000.avi", "not a CASIA-B file name"),
        ("001-nm-01-017.avi", "not a CASIA-B file name"),
        ("holiday.avi", "do not have a CASIA-B file name"),
    ],
)
def test_casia_b_refuses_names_that_are_none_of_its_own(tmp_path, name, word):
    touch(tmp_path, "001-nm-01-000.avi", name)
    with pytest.raises(InputError, match=word):
        find("casia_b", tmp_path)


def test_a_recording_that_lies_in_both_folders_is_refused(tmp_path):
    touch(tmp_path, "DatasetB-1/001-nm-01-000.avi", "DatasetB-2/001-nm-01-000.avi")
    with pytest.raises(InputError, match="two videos have the clip id 001-nm-01-000"):
        layout_of("casia_b").index(tmp_path)


def test_folders_name_the_class_and_perhaps_the_subject(tmp_path):
    touch(tmp_path, "Normal/a.mp4", "varus/b/left.mp4", "varus/b/right.mp4", "unlabelled/c.avi", "Normal/.hidden.mp4")
    found = find("folder", tmp_path)
    assert [(e.clip_id, e.subject_id, e.label) for e in found] == [
        ("a", "a", "normal"), ("b-left", "b", "genu_varum"), ("b-right", "b", "genu_varum"), ("c", "c", None),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("names", "word"),
    [
        (("a.mp4",), "folder of its class"),
        (("normal/a/1.mp4", "varus/a/2.mp4"), "two class folders"),
        ((), "no video"),
    ],
)
def test_folders_that_say_no_class_are_refused(tmp_path, names, word):
    touch(tmp_path, *names)
    with pytest.raises(InputError, match=word):
        find("folder", tmp_path)


def test_a_table_with_paths_alone_is_completed(tmp_path, sample):
    shutil.copy(sample, tmp_path / "x.mp4")
    (tmp_path / "mine.csv").write_text('path,label,boxes\nx.mp4,Varus,"[[0,1,2,3,4]]"\n')
    (clip,) = layout_of("manifest").index(tmp_path / "mine.csv")
    assert (clip.subject_id, clip.clip_id, clip.label, clip.frames) == ("x", "x", "genu_varum", 10)
    assert clip.boxes == ((0, 1.0, 2.0, 3.0, 4.0),)
    written = write_manifest([clip], tmp_path)
    assert layout_of("manifest").index(written) == [clip]
    (tmp_path / "mine.csv").write_text("path,lable\nx.mp4,Varus\n")
    with pytest.raises(InputError, match="Did you mean `label`"):
        layout_of("manifest").index(tmp_path / "mine.csv")


def test_two_sets_that_name_different_people_alike_are_not_merged(videos):
    one = videos.record(Path("/a/1.mp4"), subject_id="1", source="spwvd")
    two = videos.record(Path("/b/1.mp4"), "other", subject_id="1", source="folder")
    with pytest.raises(InputError, match="subjects of two data sets, spwvd and folder, have the same name"):
        check_clips([one, two])


def test_any_folder_names_are_labels_kept_as_they_are_written(tmp_path):
    touch(tmp_path, "healthy/a.mp4", "mild/b.mp4", "Gro\u0308ße 3/c.mp4", "0/d.mp4", "o/e.mp4", "unlabelled/f.mp4")
    survey = layout_of("folder").survey(tmp_path, Options())
    assert {each.subject_id: each.label for each in survey.found} == {
        "a": "healthy", "b": "mild", "c": "Gr\u00f6ße 3", "d": "0", "e": "o", "f": None,
    }  # fmt: skip
    (note,) = survey.notes
    assert "kept as written: 0, Gr\u00f6ße 3, healthy, mild, o." in note


def test_usual_spellings_of_the_papers_labels_are_those_labels_if_all_are(tmp_path):
    touch(tmp_path, "healthy/a.mp4", "Bow Legs/b.mp4", "x-leg/c.mp4")
    survey = layout_of("folder").survey(tmp_path, Options())
    assert [each.label for each in survey.found] == ["normal", "genu_varum", "genu_valgum"]
    assert survey.notes == ()


def test_a_spelling_of_ones_own_renames_a_label_of_ones_own(tmp_path):
    touch(tmp_path, "healthy/a.mp4", "2/b.mp4", "3/c.mp4")
    survey = layout_of("folder").survey(tmp_path, Options(spellings={"2": "mild", "healthy": "none at all"}))
    assert [each.label for each in survey.found] == ["none at all", "mild", "3"]


def test_a_label_that_looks_like_a_misspelt_one_of_the_paper_is_told(tmp_path):
    touch(tmp_path, "normal/a.mp4", "genu_varm/b.mp4")
    (note,) = layout_of("folder").survey(tmp_path, Options()).notes
    assert "If genu_varm means genu_varum, add `--label genu_varm=genu_varum`." in note


def test_labels_of_a_table_are_free_text_too(tmp_path):
    touch(tmp_path, "1.mp4", "2.mp4", "3.mp4")
    (tmp_path / "manifest.csv").write_text("path,label\n1.mp4,grade 1\n2.mp4,2\n3.mp4,\n", encoding="utf-8")
    survey = layout_of("manifest").survey(tmp_path / "manifest.csv", Options())
    assert [each.label for each in survey.found] == ["grade 1", "2", None]
