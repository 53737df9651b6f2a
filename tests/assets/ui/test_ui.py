"""Use of Dagster's UI by a person: a real `mediafm ui` in a real browser."""

import pytest
from dagster_catalogue import BAD, GOOD, DagsterCatalogue
from films import SAMPLES, make_title
from person import LOCATION, Person, is_shown, page_text

from mediafm_assets.assets.model_assets import SERVING_MODEL
from mediafm_assets.definitions import defs
from mediafm_core import sql
from mediafm_core.pipeline.graph import SPECS

GROUPS = ("ingest", "embeddings", "encoders", "model", "context")
NEW = "late"
NARROW, WIDE = 1280, 1600  # pixels: the window of a small notebook, and the window of these tests


@pytest.fixture(scope="module")
def backfill(person: Person) -> str:
    """Launch a backfill and return its address; it runs while other tests use the UI."""
    person.opens("/assets/contextual_embeddings?view=partitions")
    person.reads(*GOOD, "Missing (1)")
    person.clicks("Materialize…")
    person.clicks("Select a partition or create one")
    for title_id in GOOD:
        person.clicks(title_id, last=True)
    person.reads("2 partitions")
    person.keeps("backfill_dialog")
    person.clicks("Launch backfill")
    person.clicks("View")
    person.waits_for(lambda browser: "/runs/b/" in browser.current_url)
    return person.browser.current_url.removeprefix(person.address)


def test_a_backfill_of_titles_can_be_launched(person: Person, backfill: str):
    person.opens(backfill)
    person.reads(*GOOD, "contextual_embeddings", "Partitions targeted")
    person.keeps("backfill_launched")


def test_the_graph_names_every_asset(person: Person):
    person.opens("/asset-groups?expanded=" + ",".join(f"global@global:{name}" for name in GROUPS))
    names = {spec.key.to_user_string() for spec in defs.resolve_all_asset_specs()}
    assert names > {*SPECS, SERVING_MODEL, "inbox", "catalogue", "video_encoder"}
    person.waits_for(
        lambda browser: (
            names == {name for name in names if is_shown(name, page_text(browser).splitlines())}
        )
    )
    person.keeps("graph")


def test_a_partition_can_be_materialised(person: Person):
    page = f"/assets/text_embeddings?view=partitions&partition={GOOD[1]}"
    person.opens(page)
    person.reads(GOOD[1], "View all historical events (1)")
    person.clicks("Materialize…")
    person.reads("Launch runs to materialize text_embeddings", "1 partition")
    person.keeps("materialise_dialog")
    person.clicks("Launch 1 run")
    person.clicks("View")
    person.sees_the_run_succeed()
    person.keeps("materialise_run")
    person.opens(page)
    person.reads(GOOD[1], "Materialized", "View all historical events (2)", "minilm")
    person.reads("unchanged: same inputs, same minilm")
    person.keeps("materialised")


def test_a_partition_can_be_recomputed(person: Person):
    page = f"/assets/text_embeddings?view=partitions&partition={GOOD[1]}"
    person.opens(page)
    person.reads(GOOD[1], "View all historical events (2)")
    person.clicks("Materialize…")
    person.reads("Launch runs to materialize text_embeddings")
    person.clicks("Config")
    person.clicks("Add config")
    person.reads("Config Editor", "options?")
    person.writes_config("resources: {options: {config: {force: true}}}")
    person.reads("No errors")
    person.keeps("force")
    person.clicks("Save config")
    person.clicks("Launch 1 run")
    person.clicks("View")
    person.sees_the_run_succeed()
    person.opens(page)
    person.reads(GOOD[1], "View all historical events (3)")
    assert "unchanged" not in page_text(person.browser)
    person.keeps("computed_again")


def test_a_title_that_arrives_is_ingested(person: Person, catalogue: DagsterCatalogue):
    person.opens_a_tick(
        "inbox_arrivals", "0 runs requested", "No new or changed title: 1 quarantined"
    )
    person.keeps("nothing_arrived")
    make_title(catalogue.inbox, NEW, SAMPLES / "the_astronauts_coffee", seconds=6.0)
    person.opens_a_tick("inbox_arrivals", "1 run requested", "Requested materializations")
    person.keeps("arrival")
    person.opens(f"{LOCATION}/jobs/ingest_title/runs")
    person.follows("/runs/")
    person.sees_the_run_succeed()
    person.keeps("arrival_run")
    person.opens(f"/assets/clip_features?view=partitions&partition={NEW}")
    person.reads(NEW, "Materialized", "ingest_title", "rows")
    person.keeps("arrived")
    clips = sql("SELECT count(*) AS n FROM clips WHERE title_id = ?", [NEW], store=catalogue.store)
    assert clips["n"][0].as_py() > 0


def test_the_inbox_shows_quarantined_titles(person: Person, catalogue: DagsterCatalogue):
    person.opens("/assets/inbox")
    person.reads("quarantined", f"{BAD}: media.mp4 is a text file, not a video file")
    person.reads(str(catalogue.inbox))
    for width in (NARROW, WIDE):
        person.looks_at_width(width)
        person.sees_tables_whole()
        person.scrolls_to("reasons")
        person.keeps(f"inbox_{width}")
    person.clicks("[Show Markdown]")
    person.reads("details", "asset", f"/{BAD}/media.mp4 is a text file")
    person.keeps("inbox_details")


def test_the_automation_page_lists_sensors_and_schedules(person: Person):
    person.opens("/automation")
    person.reads("inbox_arrivals", "catalogue_sweep", "clean_daily", "alert_on_failure")
    person.keeps("automation")


def test_the_catalogue_shows_its_versions_and_the_published_model(person: Person):
    person.opens("/assets/catalogue")
    person.reads("readers_see", "titles of mediafm-7@", "coverage", "wanted", "problems")
    for width in (NARROW, WIDE):
        person.looks_at_width(width)
        person.sees_tables_whole()
        person.scrolls_to("coverage")
        person.keeps(f"catalogue_{width}")
    person.clicks("[Show Markdown]")
    person.reads("identity", "transnetv2-", "minilm_l6_int8-", "true")
    person.keeps("catalogue_versions")


def test_an_encoder_shows_its_identity(person: Person):
    person.opens("/assets/audio_encoder")
    person.reads("encoders", "identity", "whisper_base-")
    person.keeps("encoder")


def test_the_jobs_have_plain_names(person: Person):
    person.opens(f"{LOCATION}/jobs")
    person.reads("ingest_title", "refresh_catalogue", "train_model", "release_model")
    person.reads("rollback_model", "retire_titles", "clean_catalogue", "embed_title")
    person.reads("evaluate_catalogue")
    person.keeps("jobs")


def test_training_starts_with_defaults(person: Person):
    person.opens(f"{LOCATION}/jobs/train_model/playground")
    person.reads("mediafm_model", "release: false", "reason: ''", "No errors", "Launch Run")
    person.keeps("train_model")


def test_an_evaluation_shows_its_table(person: Person):
    person.opens(f"{LOCATION}/jobs/evaluate_catalogue/playground")
    person.reads("evaluation", "labels: []", "task: guessed", "bootstrap: 1000", "No errors")
    person.keeps("evaluate_catalogue")
    person.launches()
    person.sees_the_run_succeed()
    person.opens("/assets/evaluation")
    person.reads("state", "measured", "mood in_context", "computed_now", "clips")
    person.keeps("evaluation")
    person.clicks("[Show Markdown]")
    person.reads("representation", "in_context", "late_fusion", "minus flat", "minus alone")
    person.keeps("evaluation_table")


def test_retirement_requires_titles(person: Person):
    person.opens(f"{LOCATION}/jobs/retire_titles/playground")
    person.reads("remove_titles", 'Missing required config entry "ops"', "Launch Run")
    person.clicks("Scaffold missing config")
    person.clicks("Confirm")
    person.reads("titles: []", "No errors")
    person.keeps("retire_titles")


def test_a_title_shows_its_shots(person: Person):
    person.opens(f"/assets/shots?view=partitions&partition={GOOD[1]}")
    person.reads(GOOD[1], "contact_sheet", "cpu_seconds", "transnetv2")
    person.keeps("shots")
    person.clicks("[Show Markdown]")
    assert person.sees_a_picture() > 300
    person.keeps("contact_sheet")


def test_the_model_shows_its_loss_curve(person: Person):
    person.opens("/assets/mediafm_model")
    person.reads("loss_curve", "validation_loss", "parameter_groups")
    person.clicks("[Show Markdown]")
    assert person.sees_a_picture() > 300
    person.keeps("loss_curve")


def test_the_serving_model_shows_who_released_it_and_why(person: Person):
    person.opens(f"/assets/{SERVING_MODEL}")
    person.reads("released_by", "first model of the catalogue", "mediafm-7@")
    person.keeps("serving_model")


def test_a_model_can_be_released_from_the_launchpad(person: Person, catalogue: DagsterCatalogue):
    model = catalogue.platform().serving_model
    assert model
    person.opens(f"{LOCATION}/jobs/release_model/playground")
    person.reads("release_candidate", "compare: true", "No errors", "Launch Run")
    person.unfolds("Partition")
    person.clicks(model, last=True)
    person.reads(f"partition: {model}")
    person.keeps("release_model")
    person.launches()
    person.sees_the_run_succeed()
    person.reads(f"{model} is the serving model already.")


def test_a_title_shows_the_similarity_of_its_shots(person: Person):
    person.opens(f"/assets/contextual_embeddings?view=partitions&partition={GOOD[0]}")
    person.reads(GOOD[0], "shot_similarity")
    person.clicks("[Show Markdown]")
    assert person.sees_a_picture() > 300
    person.keeps("shot_similarity")


def test_a_finished_run_shows_its_steps(person: Person, dagster_catalogue: DagsterCatalogue):
    person.opens(f"/runs/{dagster_catalogue.run_ids[0]}")
    person.reads("Success", "embed_title", "decode", "video_embeddings", "fused_embeddings")
    person.keeps("run")


def test_runs_of_the_command_line_are_under_their_jobs(
    person: Person, dagster_catalogue: DagsterCatalogue
):
    person.opens("/jobs")
    person.reads("embed_title", "train_model", "refresh_catalogue", " ago")
    person.keeps("all_jobs")
    jobs = ("embed_title", "train_model", "refresh_catalogue")
    for job, run_id in zip(jobs, dagster_catalogue.run_ids, strict=True):
        person.opens(f"{LOCATION}/jobs/{job}/runs")
        person.reads(run_id[:8], "Success")
        person.keeps(f"runs_of_{job}")
    person.opens("/overview/activity/timeline")
    person.reads("mediafm_assets.definitions", *jobs)
    person.keeps("timeline")


def test_an_unusable_title_has_failed_with_its_reason(person: Person):
    person.opens(f"/assets/shots?view=partitions&partition={BAD}")
    person.reads("Failed (1)", "failed, and did not materialize this asset.")
    person.keeps("failed_partition")
    person.clicks("View logs")
    person.reads("RUN_FAILURE", f"{BAD} is quarantined: ", "media.mp4 is a text file")
    person.keeps("failed_partition_reason")


def test_a_check_has_passed_for_every_title_that_reached_it(person: Person):
    person.opens("/assets/shots?view=checks&checkDetail=shots_partition_title")
    person.reads("Latest execution", "titles_passed")
    person.clicks("Partitions", last=True)
    person.reads("Execution Failed (0)", "Missing (0)", "Skipped (1)", *GOOD)
    person.waits_for(lambda browser: "Passed (0)" not in page_text(browser))
    person.keeps("check_of_titles")


def test_the_page_of_keyframes_shows_pictures(person: Person):
    person.opens("/assets/keyframes")
    person.reads("contact_sheet", "Row count", "shot_index", "binary", "Source code")
    person.keeps("keyframes")
    person.clicks("[Show Markdown]")
    assert person.sees_a_picture() > 300
    person.keeps("keyframes_pictures")


def test_the_page_of_clips_lists_them_and_shows_pictures(person: Person):
    person.opens("/assets/clip_features")
    person.reads("clips", "start_s", "end_s", "labels", "proposed", "contact_sheet")
    person.looks_at_width(NARROW)
    person.sees_tables_whole()
    person.scrolls_to("clips")
    person.keeps("clips")
    person.looks_at_width(WIDE)
    person.clicks("[Show Markdown]")
    assert person.sees_a_picture() > 150  # the last title to come may have a single clip
    person.keeps("clips_pictures")


def test_the_page_of_scenes_shows_where_they_start(person: Person):
    person.opens("/assets/scenes")
    person.reads("contact_sheet", "start_probability", "median_scene_s", "scene_probability")
    person.keeps("scenes")
    person.clicks("[Show Markdown]")
    assert person.sees_a_picture() > 150  # the last title to come may have a single shot
    person.keeps("scenes_pictures")


def test_a_check_shows_its_description(person: Person):
    person.opens("/assets/shots?view=checks&checkDetail=shots_partition_title")
    person.reads("shots_partition_title", "Check that shots follow each other without gap")
    person.keeps("check")


def test_the_backfill_completes(person: Person, backfill: str):
    person.opens(backfill)
    person.reads("Succeeded", "100% completed", *GOOD)
    person.keeps("backfill")


def test_the_sweep_reports_that_all_is_up_to_date(person: Person):
    person.opens_a_tick("catalogue_sweep", "0 runs requested", "titles are up to date with mediafm")
    person.keeps("sweep")
