"""One stage for each module: an Asterisk, the service, two browsers; each test finds it empty."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Generator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.desk_stage import Stage, opened_stage, prepare_mall
from tests.service_fixtures import mall_template

__all__ = ["mall_template"]

log = logging.getLogger(__name__)
FAILED = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.when == "call":
        item.stash[FAILED] = report.failed
    return report


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def whole_stage(
    mall_template: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Stage]:
    folder = tmp_path_factory.mktemp("stage")
    url = await prepare_mall(mall_template, folder)
    async with opened_stage(folder, url) as opened:
        yield opened


@pytest_asyncio.fixture(loop_scope="module")
async def stage(whole_stage: Stage, request: pytest.FixtureRequest) -> AsyncIterator[Stage]:
    """Both agents at their desks, phones ready, in no queue, without a call."""
    await whole_stage.fresh_pages()
    yield whole_stage
    if request.node.stash.get(FAILED, False):
        log.warning("what there was when it failed:\n%s", await whole_stage.picture())
    problems = [problem for agent in whole_stage.agents for problem in agent.problems]
    await whole_stage.clear()
    assert problems == []
