"""``prebuild aiter``: which AITER this is, what is new in it, what it would be served.

Exit status: 0 where all is known, 1 where something is new or does not fit, 3 where there is no
AITER to read.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Annotated, Any

import typer

from aiter_prebuilt import generations
from prebuild.aiter import book, pages, reach, show
from prebuild.aiter.repository import Repository, Tagged
from prebuild.aiter.tree import AiterError, read
from prebuild.core.project import Project
from prebuild.recipe.recipes import find_recipes, load_recipes

SCHEMA = 1
FOUND = 1


def command(
    path: Annotated[
        Path | None, typer.Argument(help="A checkout, or the folder of an installed package.")
    ] = None,
    repo: Annotated[
        Path | None, typer.Option(help="A repository: read its releases, not its work tree.")
    ] = None,
    tag: Annotated[
        list[str], typer.Option(help="Of --repo: tags or commits; all releases if none.")
    ] = [],  # noqa: B006  typer wants the default itself
    generation: Annotated[
        str | None, typer.Option("--as", help="The tags have the rules of this generation.")
    ] = None,
    write: Annotated[bool, typer.Option(help="Write data files and documents.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Machine-readable, versioned.")] = False,
) -> None:
    """Say which generation an AITER is of, what is new in it, and what it would be served."""
    if (path is None) == (repo is None):
        raise AiterError("nothing to read:", ["name either a folder or --repo"])
    if path is not None:
        _one(path, as_json=as_json)
    elif repo is not None:
        _several(Repository.at(repo), tag, generation, write=write, as_json=as_json)


def _one(path: Path, *, as_json: bool) -> None:
    known = generations.load()
    verdict = book.judge(read(path), known)
    if as_json:
        _print(aiter=_plain(verdict))
    else:
        typer.echo("\n".join(show.one(verdict)))
    raise typer.Exit(0 if verdict.served else FOUND)


def _several(
    repository: Repository, tags: list[str], generation: str | None, *, write: bool, as_json: bool
) -> None:
    known = generations.load()
    found = [repository.read(tag) for tag in tags or _every(repository, known)]
    new = [each for each in found if not book.is_known(each, known)]
    if write:
        releases = [book.release_of(each, known, generation) for each in found]
        known = book.with_releases(known, releases)
        _write(Project.here(), known, repository, [release.tag for release in releases])
    if as_json:
        _print(
            releases=[{"tag": each.tag, **_plain(book.judge(each.tree, known))} for each in found],
            new=[each.tag for each in new],
        )
    else:
        typer.echo("\n".join(show.several(found, known, _before(repository, new, known))))
    raise typer.Exit(FOUND if new and not write else 0)


def _every(repository: Repository, known: generations.Book) -> list[str]:
    """The releases from the oldest known one on, and the commits that the file has."""
    releases = repository.releases()
    tags = [release.tag for release in known.releases]
    first = min((releases.index(tag) for tag in tags if tag in releases), default=0)
    return [*releases[first:], *(tag for tag in tags if tag not in releases)]


def _before(
    repository: Repository, new: list[Tagged], known: generations.Book
) -> dict[str, Tagged]:
    """For each new release the newest one that is known, to say what changed since."""
    there = repository.releases()
    usable = [each.tag for each in known.releases if each.tag in there]
    if not new or not usable:
        return {}
    newest = repository.read(usable[-1])
    return {each.tag: newest for each in new}


def _write(
    project: Project, known: generations.Book, repository: Repository, tags: list[str]
) -> None:
    """Write the data files, with the calls of ``tags`` counted anew, and the documents' tables."""
    recipes = load_recipes(find_recipes((), project.recipes))
    counted: list[reach.Reach] = []
    for release in known.releases:
        if release.tag in tags:
            generation = known.generations[release.generation]
            with repository.tables(release.tag) as configs:
                counted += reach.reach(release.tag, generation, configs, recipes)
    every = reach.merged(reach.load(), counted, known, recipes)
    data = project.root / "aiter_prebuilt" / "data" / "aiter.json"
    files = {data: book.as_text(known), reach.FILE: reach.as_text(every)}
    for path, text in (*files.items(), *pages.written(project.root, known, every)):
        path.write_text(text, encoding="utf-8")


def _plain(verdict: book.Verdict) -> dict[str, Any]:
    return {
        "root": str(verdict.tree.root),
        "version": verdict.tree.facts.version,
        "generation": verdict.known.generation.name,
        "release": verdict.known.release,
        "changed": verdict.known.changed,
        "parts": dataclasses.asdict(verdict.tree.parts),
        "sources_known": verdict.sources_known,
        "contract": verdict.problems,
        "modules": dict(verdict.modules),
    }


def _print(**fields: Any) -> None:  # noqa: ANN401  JSON values
    typer.echo(json.dumps({"schema": SCHEMA, **fields}, indent=1))
