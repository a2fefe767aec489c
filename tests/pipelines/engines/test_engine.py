import pytest
from apache_beam.options.pipeline_options import PipelineOptions, PortableOptions, WorkerOptions

from pipelines.engines.engine import Engine, parse_options
from pipelines.errors import ConfigError
from pipelines.parameters import Runner


def test_engine_refuses_a_name_that_is_not_known() -> None:
    message = "there is no runner 'spark9'; choose local, portable, prism, flink or dataflow"
    with pytest.raises(ConfigError, match=message):
        Engine("spark9")


@pytest.mark.parametrize(
    ("pairs", "options"),
    [
        ([], {}),
        (["parallelism=4"], {"parallelism": "4"}),
        (["--parallelism=4"], {"parallelism": "4"}),
        (["a=b=c"], {"a": "b=c"}),
        (["no_auth=true", "streaming=False"], {"no_auth": True, "streaming": False}),
        (["experiments=a", "experiments=b"], {"experiments": ["a", "b"]}),
        (["empty="], {"empty": ""}),
    ],
)
def test_options_of_pairs(pairs: list[str], options: dict[str, object]) -> None:
    assert parse_options(pairs) == options


@pytest.mark.parametrize("pair", ["hunter2", "=hunter2", "two words=hunter2", "a-b=hunter2"])
def test_options_of_refuses_what_is_no_pair_and_does_not_repeat_it(pair: str) -> None:
    with pytest.raises(ConfigError, match="expected a Beam option as KEY=VALUE, ") as raised:
        parse_options([pair])
    assert "hunter2" not in str(raised.value)
    with pytest.raises(ConfigError, match="got option 2 in another form"):
        parse_options(["parallelism=4", pair])


@pytest.mark.parametrize(
    "name",
    [
        *("s3_access_key_id", "s3_secret_access_key", "s3_session_token", "my_password"),
        *("azure_connection_string", "API_KEY"),
    ],
)
def test_options_of_refuses_a_secret_and_does_not_repeat_it(name: str) -> None:
    with pytest.raises(ConfigError, match=f"option {name} holds a secret") as raised:
        parse_options([f"{name}=hunter2"])
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize(
    "value", ["gs://me:hunter2@bucket/x", '{"env": {"AWS_SECRET_ACCESS_KEY": "hunter2"}}']
)
def test_engine_refuses_a_secret_in_a_value(value: str) -> None:
    with pytest.raises(ConfigError, match="the Beam option place holds a secret") as raised:
        Engine("flink", {"place": ["harmless", value]})
    assert "hunter2" not in str(raised.value)


def test_flags_are_what_beam_reads() -> None:
    options = {
        "job_endpoint": "localhost:8099",
        "experiments": ["a", "b"],
        "machine_type": "n2-standard-4",
        "disk_size_gb": 30,
        "use_public_ips": False,
    }
    read = PipelineOptions(Engine("portable", options).flags())
    assert read.view_as(PortableOptions).job_endpoint == "localhost:8099"
    assert read.view_as(WorkerOptions).disk_size_gb == 30
    assert read.get_all_options()["experiments"] == ["a", "b"]
    assert (
        Engine("local", options).flags() == Engine("local", dict(sorted(options.items()))).flags()
    )


@pytest.mark.parametrize(
    ("name", "options", "remote"),
    [
        ("local", {}, False),
        ("prism", {}, False),
        ("prism", {"environment_type": "EXTERNAL"}, True),
        ("flink", {}, False),
        ("flink", {"flink_master": "[auto]"}, False),
        ("flink", {"flink_master": "host:8081"}, True),
        ("flink", {"flink_master": "host:8081", "environment_type": "LOOPBACK"}, False),
        ("flink", {"job_endpoint": "host:8099"}, True),
        ("portable", {"job_endpoint": "host:8099"}, True),
        ("portable", {"environment_type": "loopback"}, False),
        ("dataflow", {}, True),
    ],
)
def test_workers_are_remote_unless_this_process_does_the_work(
    name: str, options: dict[str, str], remote: bool
) -> None:
    assert Engine(name, options).has_remote_workers is remote


def test_cluster_is_known_by_its_address_alone() -> None:
    assert Engine("flink", {"flink_master": "host:8081"}).is_on_flink_cluster
    assert not Engine("flink", {"flink_master": "[local]"}).is_on_flink_cluster
    assert not any(Engine(name).is_on_flink_cluster for name in Runner)
