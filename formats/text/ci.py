"""What the environment variables of CI services say about a run: repository, branch, run, job, commit."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec


class CiService(msgspec.Struct, frozen=True):
    """The variables of one CI service. Of several variables for one value, the first that is set counts."""

    name: str
    marker: str
    """The variable that is set in every job of the service."""
    commit: str
    repo: tuple[str, ...]
    branch: tuple[str, ...]
    run: tuple[str, ...]
    """Identifies a pipeline: all its jobs have the same value."""
    job: tuple[str, ...]
    """The name of the job in the pipeline."""
    shard: tuple[str, ...] = ()
    """The number of this job among those that share one name."""


SERVICES = (
    CiService(
        "github",
        "GITHUB_ACTIONS",
        "GITHUB_SHA",
        repo=("GITHUB_REPOSITORY",),
        branch=("GITHUB_HEAD_REF", "GITHUB_REF_NAME"),
        run=("GITHUB_RUN_ID",),
        job=("GITHUB_JOB",),
    ),
    CiService(
        "gitlab",
        "GITLAB_CI",
        "CI_COMMIT_SHA",
        repo=("CI_PROJECT_PATH",),
        branch=("CI_MERGE_REQUEST_SOURCE_BRANCH_NAME", "CI_COMMIT_REF_NAME"),
        run=("CI_PIPELINE_ID",),
        job=("CI_JOB_NAME",),
        shard=("CI_NODE_INDEX",),
    ),
    CiService(
        "circleci",
        "CIRCLECI",
        "CIRCLE_SHA1",
        repo=("CIRCLE_PROJECT_REPONAME",),
        branch=("CIRCLE_BRANCH",),
        run=("CIRCLE_WORKFLOW_ID", "CIRCLE_BUILD_NUM"),
        job=("CIRCLE_JOB",),
        shard=("CIRCLE_NODE_INDEX",),
    ),
    CiService(
        "buildkite",
        "BUILDKITE",
        "BUILDKITE_COMMIT",
        repo=("BUILDKITE_PIPELINE_SLUG",),
        branch=("BUILDKITE_BRANCH",),
        run=("BUILDKITE_BUILD_NUMBER",),
        job=("BUILDKITE_STEP_KEY", "BUILDKITE_LABEL"),
        shard=("BUILDKITE_PARALLEL_JOB",),
    ),
    CiService(
        "azure",
        "TF_BUILD",
        "BUILD_SOURCEVERSION",
        repo=("BUILD_REPOSITORY_NAME",),
        branch=("SYSTEM_PULLREQUEST_SOURCEBRANCH", "BUILD_SOURCEBRANCH"),
        run=("BUILD_BUILDID",),
        job=("SYSTEM_JOBNAME", "AGENT_JOBNAME"),
        shard=("SYSTEM_JOBPOSITIONINPHASE",),
    ),
    CiService(
        "jenkins",
        "JENKINS_URL",
        "GIT_COMMIT",
        repo=("GIT_URL",),
        branch=("CHANGE_BRANCH", "BRANCH_NAME", "GIT_BRANCH"),
        run=("BUILD_NUMBER",),
        job=("JOB_NAME",),
    ),
    CiService(
        "travis",
        "TRAVIS",
        "TRAVIS_COMMIT",
        repo=("TRAVIS_REPO_SLUG",),
        branch=("TRAVIS_PULL_REQUEST_BRANCH", "TRAVIS_BRANCH"),
        run=("TRAVIS_BUILD_ID",),
        job=("TRAVIS_JOB_NAME", "TRAVIS_JOB_NUMBER"),
    ),
)
_WORKERS = ("MOCKREC_WORKER", "PYTEST_XDIST_WORKER", "JEST_WORKER_ID", "VITEST_POOL_ID", "TEST_WORKER_INDEX")
"""Of pytest-xdist, Jest, Vitest and Playwright."""
_OWN = {"scope": ("MOCKREC_SCOPE",), "worker": _WORKERS}


def service_of(env: Mapping[str, str]) -> CiService | None:
    """Return the CI service in which this process runs; None outside of CI."""
    return next((service for service in SERVICES if env.get(service.marker)), None)


def values_of(env: Mapping[str, str]) -> dict[str, str]:
    """Return what the environment says of `repo`, `branch`, `run`, `job`, `shard`, `commit`, `scope`, `worker`."""
    service = service_of(env)
    variables = dict(_OWN)
    if service is not None:
        variables |= {
            "repo": service.repo,
            "branch": service.branch,
            "run": service.run,
            "job": service.job,
            "shard": ("MOCKREC_SHARD", *service.shard),
            "commit": (service.commit,),
        }
    else:
        variables["shard"] = ("MOCKREC_SHARD",)
    found = {name: next((env[one] for one in names if env.get(one)), "") for name, names in variables.items()}
    if "branch" in found:
        found["branch"] = found["branch"].removeprefix("refs/heads/")
    if found.get("repo", "").endswith(".git"):  # a URL, as Jenkins has it
        found["repo"] = found["repo"].removesuffix(".git").rpartition("/")[2]
    return {name: value for name, value in found.items() if value}
