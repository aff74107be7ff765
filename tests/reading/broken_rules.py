"""Deliberate faults in the rules of entry, each as a replacement of source text.

`tests.reading.mutations` applies one fault at a time and runs the proofs.
"""

from __future__ import annotations

from dataclasses import dataclass

PROOFS = ("walk", "search", "mirror")
BOTH = ("walk", "search")
WALK, SEARCH = ("walk",), ("search",)


@dataclass(frozen=True)
class Mutation:
    """A fault: in `file` of `ratui/reading`, `old`, which occurs once, becomes `new`. Each of `proofs` must fail."""

    name: str
    file: str
    old: str
    new: str
    proofs: tuple[str, ...] = BOTH


MUTATIONS: tuple[Mutation, ...] = (
    # Which entries are possible.
    Mutation(
        "a grade may follow an irreversible finding",
        "options.py",
        "if finding and not finding.heals:",
        "if finding and finding.heals and not finding.heals:",
    ),
    Mutation(
        "a reversible finding restricts the later film too",
        "options.py",
        "if finding and not finding.heals:",
        "if finding:",
    ),
    Mutation(
        "a finding at the later film restricts the earlier film",
        "options.py",
        "for time in reading.order if time < slot.time)",
        "for time in reading.order if time != slot.time)",
    ),
    Mutation(
        "only not assessable may follow an irreversible finding",
        "options.py",
        "return not scheme.finding(finding).heals",
        "return False",
    ),
    Mutation("a grade may be any number", "options.py", "if grade not in {", "if False and grade not in {"),
    Mutation("a fixed score can be overwritten", "options.py", "            if cause:", "            if False:"),
    Mutation(
        "a finding that fixes no score of the joint is accepted",
        "options.py",
        "if not joint.scales_fixed_by(reading.scheme.finding(id)):",
        "if False:",
    ),
    Mutation(
        "an unknown reason is accepted",
        "options.py",
        "if id not in {each.id for each in reading.scheme.reasons}:",
        "if False:",
    ),
    Mutation(
        "a joint that is not on the film can be scored", "options.py", "    if slot in reading.absent:", "    if False:"
    ),
    Mutation(
        "normal does not check whether 0 is possible",
        "options.py",
        "return bool(open_fields) and all(find_refusal(reading, field, GradeEntry(0)) is None for field in open_fields)",
        "return bool(open_fields) and not reading.signed_at",
    ),
    Mutation(
        "copying the other time point does not check whether the entry is possible",
        "options.py",
        "entry == reading.values.get(field) or find_refusal(reading, field, entry) is not None:",
        "entry == reading.values.get(field) or reading.signed_at:",
    ),
    Mutation(
        "the next field is never a skipped field",
        "options.py",
        "open_fields = (*here, *behind, *open_fields)",
        "open_fields = (*here, *behind)",
        WALK,
    ),
    Mutation(
        "the next field leaves an incomplete joint",
        "options.py",
        "open_fields = (*here, *behind, *open_fields)",
        "open_fields = (*behind, *open_fields)",
        WALK,
    ),
    # What an entry does.
    Mutation(
        "an irreversible finding does not clear the later answers that it excludes",
        "options.py",
        "if not finding.heals and not reading.is_blinded:",
        "if False:",
    ),
    Mutation(
        "any finding clears the later film's grades",
        "options.py",
        "if not finding.heals and not reading.is_blinded:",
        "if not reading.is_blinded:",
    ),
    Mutation(
        "an irreversible finding clears all later answers of the joint",
        "options.py",
        "if value is not None and not _can_follow_irreversible(reading.scheme, value):",
        "if value is not None:",
    ),
    Mutation("a finding fills only the active field", "options.py", "if each.scale in fixed:", "if each == field:"),
    Mutation("a finding fills every scale", "options.py", "if each.scale in fixed:", "if True:"),
    Mutation(
        "replacing a finding does not reopen its other fields",
        "options.py",
        "    if not _find_joint_wide_cause(reading, value):\n        return {}",
        "    if True:\n        return {}",
    ),
    Mutation(
        "a new finding leaves half of the previous one",
        "options.py",
        "elif _find_joint_wide_cause(reading, reading.values.get(each)):",
        "elif False:",
        SEARCH,  # no finding of the scheme that is walked through sets one scale and leaves a held one
    ),
    Mutation(
        "a reason for the whole joint fills one field",
        "options.py",
        "case NotAssessableEntry(id) if reading.scheme.reason(id).whole_joint:",
        "case NotAssessableEntry(id) if False:",
    ),
    Mutation(
        "the reason unreadable fills the whole joint",
        "options.py",
        "case NotAssessableEntry(id) if reading.scheme.reason(id).whole_joint:",
        "case NotAssessableEntry(id):",
    ),
    # Commands.
    Mutation(
        "normal overwrites filled fields",
        "commands.py",
        "for field in reading.joint_fields(site) if field not in reading.values}",
        "for field in reading.joint_fields(site)}",
    ),
    Mutation(
        "clearing one field leaves the rest of a finding",
        "commands.py",
        "{field: None, **find_reopened_fields(reading, field)}",
        "{field: None}",
    ),
    Mutation(
        "a field that the regions mark as outside the film can be cleared",
        "options.py",
        " and Slot(field.site, field.time) not in reading.absent",
        "",
    ),
    Mutation(
        "undo restores slots that are outside the film",
        "commands.py",
        "if Slot(change.field.site, change.field.time) not in reading.absent",
        "if True",
    ),
    Mutation(
        "undo reverts only the first change of an entry",
        "commands.py",
        "for change in last.changes",
        "for change in last.changes[:1]",
    ),
    Mutation(
        "undo reverts the same entry twice",
        "commands.py",
        "entry.changes and entry.number not in undone:",
        "entry.changes:",
    ),
    Mutation(
        "undo forgets its place after one step",
        "commands.py",
        '"undo", old, timestamp, key, undone_number=last.number, note=note)',
        '"undo", old, timestamp, key, undone_number=len(reading.log), note=note)',
        WALK,
    ),
    Mutation(
        "undo stops at an entry without changes",
        "commands.py",
        "entry.kind in _UNDOABLE_KINDS and entry.changes and",
        "entry.kind in _UNDOABLE_KINDS and",
    ),
    Mutation(
        "the log records only the first of several changes",
        "commands.py",
        "LogEntry(number, timestamp, kind, key, tuple(changes)",
        "LogEntry(number, timestamp, kind, key, tuple(changes[:1])",
    ),
    Mutation(
        "a slot back on its film stays not assessable",
        "case_changes.py",
        "for slot in sorted(reading.absent - now):",
        "for slot in ():",
    ),
    Mutation(
        "a slot outside the film stays open",
        "case_changes.py",
        "for slot in sorted(now - reading.absent):",
        "for slot in ():",
    ),
    Mutation("signing does not check completeness", "commands.py", "if not reading.is_complete:", "if False:"),
    Mutation(
        "a signed reading can be changed",
        "options.py",
        '    if reading.signed_at:\n        return Refusal("signed")',
        '    if False:\n        return Refusal("signed")',
    ),
    Mutation(
        "a signed reading can be undone",
        "commands.py",
        "    if reading.signed_at:\n        return None",
        "    if False:\n        return None",
    ),
    Mutation(
        "a signed reading can be flagged",
        "commands.py",
        "    reading.site(site)\n    if reading.signed_at:",
        "    reading.site(site)\n    if False:",
    ),
    Mutation("an unsigned reading can be reopened", "commands.py", "if not reading.signed_at:", "if False:"),
    # Unlikely entries.
    Mutation("a change of three grades needs no confirmation", "plausibility.py", "MIN_JUMP = 3", "MIN_JUMP = 4"),
    Mutation("a fall of two grades needs no confirmation", "plausibility.py", "_FALL = 2", "_FALL = 3"),
    Mutation("a fall of one grade needs a confirmation", "plausibility.py", "_FALL = 2", "_FALL = 1"),
    Mutation("a fall needs no confirmation", "plausibility.py", "if rise < 0 and not reading.is_blinded:", "if False:"),
    Mutation(
        "only entries at the later film are checked for plausibility",
        "plausibility.py",
        "rise = (here - there) * (1 if field.time > other.time else -1)",
        "rise = (here - there) if field.time > other.time else 0",
    ),
    Mutation(
        "a finding is checked for plausibility on one scale only",
        "plausibility.py",
        "for field in changed\n        if",
        "for field in changed[:1]\n        if",
    ),
    Mutation(
        "every entry is logged as confirmed",
        "commands.py",
        "is_unlikely = confirmed and find_unlikely(",
        "is_unlikely = confirmed or find_unlikely(",
    ),
    # More than two visits.
    Mutation(
        "the entry of the next visit can be copied",
        "options.py",
        "others = tuple(sorted(other for other in others if other.time < field.time))",
        "pass",
        SEARCH,
    ),
    Mutation(
        "the entry of the first visit is copied",
        "options.py",
        "return others[-1] if others else None",
        "return others[0] if others else None",
        SEARCH,
    ),
    Mutation(
        "an entry is compared with all other visits",
        "plausibility.py",
        "if reading.is_blinded else _find_neighbours(reading, field):",
        "if True else ():",
        SEARCH,
    ),
    Mutation(
        "an entry is not compared beyond a visit without a score",
        "plausibility.py",
        "if not isinstance(reading.values.get(other), NotAssessableEntry)",
        "if True",
        SEARCH,
    ),
    Mutation(
        "a visit without a film has fields",
        "field_layout.py",
        "if Slot(site.key, time) not in self.unfilmed)",
        "if True)",
        SEARCH,
    ),
    # Blindness.
    Mutation(
        "blinded: an irreversible finding restricts the later film",
        "options.py",
        "    if reading.is_blinded:\n        return None",
        "    if False:\n        return None",
        PROOFS,
    ),
    Mutation(
        "blinded: an irreversible finding clears answers of the later film",
        "options.py",
        "if not finding.heals and not reading.is_blinded:",
        "if not finding.heals:",
        PROOFS,
    ),
    Mutation(
        "blinded: a fall needs confirmation",
        "plausibility.py",
        "if rise < 0 and not reading.is_blinded:",
        "if rise < 0:",
        PROOFS,
    ),
    Mutation(
        "blinded: only rises count as large changes",
        "plausibility.py",
        "elif abs(rise) >= MIN_JUMP:",
        "elif rise >= MIN_JUMP:",
        PROOFS,
    ),
    Mutation(
        "blinded: the other time point can be copied",
        "options.py",
        "source = None if reading.is_blinded else find_copy_source(reading, field)",
        "source = find_copy_source(reading, field)",
    ),
    Mutation(
        "blinded: the earlier film comes first",
        "options.py",
        "    open_fields = reading.open_fields\n",
        "    open_fields = tuple(sorted(reading.open_fields, key=lambda field: (field.site, field.scale, field.time)))\n",
        PROOFS,
    ),
    Mutation(
        "blinded: the review ranks by direction of change",
        "review.py",
        'yield ReviewReason("change", scale, max(scores) - min(scores), places=places)',
        'yield ReviewReason("change", scale, reading.score(max(fields, key=lambda f: f.time)) - min(scores), places=places)',
        ("walk", "mirror"),
    ),
    # The definition of a valid reading, and the document.
    Mutation(
        "validity: half a finding is valid",
        "invariants.py",
        "if {scale for scale, value in values.items() if value == FindingEntry(finding)} != set(fixed):",
        "if False:",
        SEARCH,
    ),
    Mutation(
        "validity: two findings in one joint are valid", "invariants.py", "if len(findings) > 1:", "if False:", SEARCH
    ),
    Mutation(
        "validity: half a joint outside the film is valid",
        "invariants.py",
        "if whole and len(set(values.values())) > 1:",
        "if False:",
        SEARCH,
    ),
    Mutation(
        "validity: a score of a joint outside the film is valid",
        "invariants.py",
        "if slot in reading.absent and",
        "if False and",
        SEARCH,
    ),
    Mutation(
        "validity: a healed irreversible finding is valid",
        "invariants.py",
        "if early < late and has_irreversible:",
        "if False:",
        SEARCH,
    ),
    Mutation(
        "validity: rules of time order apply in blinded studies",
        "invariants.py",
        "if not reading.is_blinded:",
        "if True:",
        PROOFS,
    ),
    Mutation(
        "validity: a signed reading with open fields is valid",
        "invariants.py",
        "if reading.signed_at and not reading.is_complete:",
        "if False:",
        SEARCH,
    ),
    Mutation("no flag is stored", "document_writer.py", '"flags": sorted(reading.flags),', '"flags": [],', WALK),
    Mutation(
        "the stored document lacks the confirmations",
        "document_writer.py",
        '"confirmed": entry.is_confirmed,',
        '"confirmed": False,',
        WALK,
    ),
    Mutation(
        "a note is not recorded in the log",
        "commands.py",
        "key, site=site, note=line)._with_state(notes=notes)",
        "key, site=site)._with_state(notes=notes)",
        WALK,
    ),
)
