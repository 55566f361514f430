"""A report for a terminal: the answer in three lines, a drawing, the table of every way."""

from __future__ import annotations

from wellhead.paths.codes import Kind
from wellhead.paths.rendering.drawing import draw
from wellhead.paths.rendering.mermaid import mermaid
from wellhead.paths.rendering.svg import svg
from wellhead.paths.rendering.table import markdown_table, text_table
from wellhead.paths.rendering.words import group, headline, open_questions, sees_all, target
from wellhead.paths.way import Note, Report, Step


def answer(report: Report) -> list[str]:
    """Three lines: what the server sees, why, what to do."""
    seen, because = headline(report.ways)
    asked = [outcome for way in group(report.ways) for outcome in way.outcomes]
    wanted = [each.do for each in (*report.advice, *open_questions(asked)) if each.do]
    do = (
        wanted[0] if wanted else report.advice[0].sentence if report.advice else "nothing that is known here."
    )
    return [seen, f"why: {because}" if because else "why: unknown", f"do:  {do}"]


def text(report: Report, *, wide: bool = False) -> str:
    """The default output, and with `wide` everything that is known of every way."""
    parts = ["\n".join(answer(report))]
    if drawing := draw(report):
        parts.append("\n".join(f"    {line}".rstrip() for line in drawing.splitlines()))
    parts.append(text_table(report.ways, wide=wide))
    if report.warnings:
        parts.append("\n".join(f"warning: {_note(each)}" for each in report.warnings))
    if len(report.advice) > 1 or wide:
        parts.append("\n".join(f"advice: {_note(each)}" for each in report.advice))
    asked = [outcome for way in (report.ways if wide else group(report.ways)) for outcome in way.outcomes]
    general = [each for way in report.ways[:1] for each in way.notes]
    notes = [
        each
        for each in [*general, *open_questions(asked)]
        if each.code.kind in (Kind.ASSUMPTION, Kind.AMBIGUOUS, Kind.UNKNOWN)
    ]
    if notes:
        parts.append("\n".join(f"{each.code.kind.value}: {_note(each)}" for each in notes))
    parts += _steps(report) if wide else []
    parts.append(_parties(report))
    if report.unread:
        parts.append(
            "\n".join(f"not read: {each.what} ({each.why}): {each.leaves_open}" for each in report.unread)
        )
    return "\n\n".join(each for each in parts if each) + "\n"


def _note(each: Note) -> str:
    found = f"[{each.code.value}] {each.sentence}"
    return f"{found} {each.do}" if each.do and each.do not in found else found


def _parties(report: Report) -> str:
    lines = []
    for each in report.parties:
        facts = ", ".join(f"{key} {value}" for key, value in each.facts.items() if value)
        known = "" if each.known else " (UNKNOWN)"
        seen = f", by {each.recognised_by}" if each.recognised_by else ""
        lines.append(f"{each.role:<10} {each.name}{known}{seen}{f': {facts}' if facts else ''}")
    return "\n".join(lines)


def _steps(report: Report) -> list[str]:
    """Every step of every way."""
    found = []
    for way in report.ways:
        lines = [f"{way.client} → {target(way)} {way.protocol} {way.frontend}: {sees_all(way.outcomes)}"]
        for outcome in way.outcomes:
            lines.append(f"  {outcome.share:.0%} {outcome.disposition.value}")
            lines += [f"    {_step(each)}" for each in outcome.steps]
            lines += [
                f"    {each.form}: {each.address or each.seen_as.value} ({each.sentence or each.by})"
                for each in outcome.forwarded
            ]
        found.append("\n".join(lines))
    return found


def _step(step: Step) -> str:
    change = (
        f" {step.from_ or '?'} → {step.to}"
        if step.to and step.what.value in ("dnat", "snat", "terminate")
        else ""
    )
    return f"{step.who}: {step.what.value}{change} [{step.code.value}] {step.because}"


def markdown(report: Report) -> str:
    """For an issue or a page."""
    seen, because = headline(report.ways)
    parts = [f"**{seen}**", because]
    if report.advice:
        parts.append(f"*To do:* {report.advice[0].do or report.advice[0].sentence}")
    if drawing := draw(report):
        parts.append(f"```\n{drawing}\n```")
    parts.append(markdown_table(report.ways))
    parts += [
        f"- `{each.code.value}` {each.sentence} {each.do}".rstrip()
        for each in (*report.warnings, *report.advice)
    ]
    return "\n\n".join(each for each in parts if each) + "\n"


def picture(report: Report, kind: str) -> str:
    """The way that was asked for, as `svg` or `mermaid`."""
    if not report.ways or not report.ways[0].outcomes:
        return ""
    way = report.ways[0]
    outcome = max(way.outcomes, key=lambda each: each.share)
    return svg(way, outcome) if kind == "svg" else mermaid(way, outcome)
