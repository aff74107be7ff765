"""The rules that are broken on purpose, one at a time: what stands in the code, and what is put in its place.

`tests.reading.mutations` breaks them and runs the proofs.
"""

from __future__ import annotations

from dataclasses import dataclass

PROOFS = ("walk", "search", "mirror")
BOTH = ("walk", "search")
WALK, SEARCH = ("walk",), ("search",)


@dataclass(frozen=True)
class Mutation:
    """In `file` of `ratui/reading` the text `old`, which stands there once, becomes `new`; `proofs` must notice."""

    name: str
    file: str
    old: str
    new: str
    proofs: tuple[str, ...] = BOTH


MUTATIONS: tuple[Mutation, ...] = (
    # What may be entered.
    Mutation(
        "grades may follow a finding that does not heal",
        "holds.py",
        "if finding and not finding.heals:",
        "if finding and finding.heals and not finding.heals:",
    ),
    Mutation(
        "a finding that heals binds the later film too",
        "holds.py",
        "if finding and not finding.heals:",
        "if finding:",
    ),
    Mutation(
        "a finding at the later film binds the earlier",
        "holds.py",
        "for time in reading.order if time < slot.time)",
        "for time in reading.order if time != slot.time)",
    ),
    Mutation(
        "only not assessable may follow a lasting finding",
        "holds.py",
        "return not scheme.finding(finding).heals",
        "return False",
    ),
    Mutation("a grade may be any number", "choices.py", "if grade not in {", "if False and grade not in {"),
    Mutation("a fixed score can be typed over", "choices.py", "            if held:", "            if False:"),
    Mutation(
        "a finding that sets nothing here is offered",
        "choices.py",
        "if not joint.fixed_by(reading.scheme.finding(id)):",
        "if False:",
    ),
    Mutation(
        "a reason that the scheme lacks is taken",
        "choices.py",
        "if id not in {each.id for each in reading.scheme.reasons}:",
        "if False:",
    ),
    Mutation("what is not on the film can be scored", "choices.py", "    if slot in reading.absent:", "    if False:"),
    Mutation(
        "normal does not ask whether 0 is possible",
        "choices.py",
        "return bool(opened) and all(refusal(reading, field, Graded(0)) is None for field in opened)",
        "return bool(opened) and not reading.signed",
    ),
    Mutation(
        "as at the other time point does not ask whether it is possible",
        "choices.py",
        "entry == reading.values.get(field) or refusal(reading, field, entry) is not None:",
        "entry == reading.values.get(field) or reading.signed:",
    ),
    Mutation(
        "the next field is never one left behind",
        "choices.py",
        "opened = (*here, *behind, *opened)",
        "opened = (*here, *behind)",
        WALK,
    ),
    Mutation(
        "the next field leaves the joint half done",
        "choices.py",
        "opened = (*here, *behind, *opened)",
        "opened = (*behind, *opened)",
        WALK,
    ),
    # What an entry does.
    Mutation(
        "a lasting finding leaves what it rules out later",
        "consequences.py",
        "if not finding.heals and not reading.blinded:",
        "if False:",
    ),
    Mutation(
        "any finding opens the later film's grades",
        "consequences.py",
        "if not finding.heals and not reading.blinded:",
        "if not reading.blinded:",
    ),
    Mutation(
        "a lasting finding opens all of the later film",
        "consequences.py",
        "if value is not None and not may_follow_lasting(reading.scheme, value):",
        "if value is not None:",
    ),
    Mutation(
        "a finding fills only the field asked for", "consequences.py", "if each.scale in fixed:", "if each == field:"
    ),
    Mutation("a finding fills every scale", "consequences.py", "if each.scale in fixed:", "if True:"),
    Mutation(
        "a finding does not release its sibling fields",
        "consequences.py",
        "    if not held_whole(reading, value):\n        return {}",
        "    if True:\n        return {}",
    ),
    Mutation(
        "a finding leaves half of the one before",
        "consequences.py",
        "elif held_whole(reading, reading.values.get(each)):",
        "elif False:",
        SEARCH,  # no finding of the scheme that is walked through sets one scale and leaves a held one
    ),
    Mutation(
        "a reason for the whole joint fills one field",
        "consequences.py",
        "case NotAssessable(id) if reading.scheme.reason(id).whole_joint:",
        "case NotAssessable(id) if False:",
    ),
    Mutation(
        "unreadable fills the whole joint",
        "consequences.py",
        "case NotAssessable(id) if reading.scheme.reason(id).whole_joint:",
        "case NotAssessable(id):",
    ),
    # Commands.
    Mutation(
        "normal overwrites what is filled",
        "rules.py",
        "for field in reading.joint_fields(site) if field not in reading.values}",
        "for field in reading.joint_fields(site)}",
    ),
    Mutation(
        "clearing leaves the rest of a finding",
        "rules.py",
        "{field: None, **released(reading, field)}",
        "{field: None}",
    ),
    Mutation(
        "what the regions took off the film can be cleared",
        "choices.py",
        " and Slot(field.site, field.time) not in reading.absent",
        "",
    ),
    Mutation(
        "undo restores slots that are off the film",
        "rules.py",
        "if Slot(change.field.site, change.field.time) not in reading.absent",
        "if True",
    ),
    Mutation(
        "undo takes back the first change only",
        "rules.py",
        "for change in last.changes",
        "for change in last.changes[:1]",
    ),
    Mutation(
        "undo takes back the same entry again",
        "rules.py",
        "entry.changes and entry.number not in undone:",
        "entry.changes:",
    ),
    Mutation(
        "undo forgets its place after one step",
        "rules.py",
        '"undo", old, at, key, undoes=last.number)',
        '"undo", old, at, key, undoes=len(reading.log))',
        WALK,
    ),
    Mutation(
        "undo stops at what changed nothing",
        "rules.py",
        "entry.kind in ENTRIES and entry.changes and",
        "entry.kind in ENTRIES and",
    ),
    Mutation(
        "the log keeps one change of several",
        "history.py",
        "LogEntry(number, at, kind, key, tuple(changes)",
        "LogEntry(number, at, kind, key, tuple(changes[:1])",
    ),
    Mutation(
        "a slot back on its film stays not assessable",
        "rules.py",
        "for slot in sorted(reading.absent - now):",
        "for slot in ():",
    ),
    Mutation(
        "a slot off the film stays open",
        "rules.py",
        "for slot in sorted(now - reading.absent):",
        "for slot in ():",
    ),
    Mutation("signing does not ask whether all is filled", "rules.py", "if not reading.complete:", "if False:"),
    Mutation(
        "a signed reading can be changed",
        "choices.py",
        '    if reading.signed:\n        return Refusal("signed")',
        '    if False:\n        return Refusal("signed")',
    ),
    Mutation(
        "a signed reading can be undone",
        "rules.py",
        "    if reading.signed:\n        return None",
        "    if False:\n        return None",
    ),
    Mutation(
        "a signed reading can be flagged",
        "rules.py",
        "    reading.site(site)\n    if reading.signed:",
        "    reading.site(site)\n    if False:",
    ),
    Mutation("what isn't signed can be reopened", "rules.py", "if not reading.signed:", "if False:"),
    # Unlikely entries.
    Mutation("a jump of three is let pass", "doubt.py", "JUMP = 3", "JUMP = 4"),
    Mutation("a fall is let pass", "doubt.py", "if rise < 0 and not reading.blinded:", "if False:"),
    Mutation(
        "an entry is doubted at the later film only",
        "doubt.py",
        "rise = (here - there) * (1 if field.time > twin.time else -1)",
        "rise = (here - there) if field.time > twin.time else 0",
    ),
    Mutation(
        "a finding is doubted on one scale only",
        "doubt.py",
        "for field in changed if",
        "for field in changed[:1] if",
    ),
    Mutation("all is called confirmed", "rules.py", "sure = confirmed and unlikely(", "sure = confirmed or unlikely("),
    # Blindness.
    Mutation(
        "blinded: a lasting finding binds the later film",
        "holds.py",
        "    if reading.blinded:\n        return None",
        "    if False:\n        return None",
        PROOFS,
    ),
    Mutation(
        "blinded: a lasting finding opens the later film",
        "consequences.py",
        "if not finding.heals and not reading.blinded:",
        "if not finding.heals:",
        PROOFS,
    ),
    Mutation(
        "blinded: a fall is asked for twice", "doubt.py", "if rise < 0 and not reading.blinded:", "if rise < 0:", PROOFS
    ),
    Mutation("blinded: only rises are jumps", "doubt.py", "elif abs(rise) >= JUMP:", "elif rise >= JUMP:", PROOFS),
    Mutation(
        "blinded: the other time point can be copied",
        "choices.py",
        "if reading.blinded or len(reading.order) != 2:",
        "if len(reading.order) != 2:",
    ),
    Mutation(
        "blinded: the earlier film is asked for first",
        "choices.py",
        "    opened = reading.open_fields\n",
        "    opened = tuple(sorted(reading.open_fields, key=lambda field: (field.site, field.scale, field.time)))\n",
        PROOFS,
    ),
    Mutation(
        "blinded: the second look ranks by direction",
        "second_look.py",
        'yield LookReason("change", scale, max(scores) - min(scores))',
        'yield LookReason("change", scale, reading.score(max(fields, key=lambda f: f.time)) - min(scores))',
        ("walk", "mirror"),
    ),
    # The definition of a valid reading, and the document.
    Mutation(
        "validity: half a finding can be",
        "validity.py",
        "if {scale for scale, value in values.items() if value == Found(finding)} != set(fixed):",
        "if False:",
        SEARCH,
    ),
    Mutation("validity: two findings can be", "validity.py", "if len(findings) > 1:", "if False:", SEARCH),
    Mutation(
        "validity: half a joint can be off the film",
        "validity.py",
        "if whole and len(set(values.values())) > 1:",
        "if False:",
        SEARCH,
    ),
    Mutation(
        "validity: what is off the film can have a score",
        "validity.py",
        "if slot in reading.absent and",
        "if False and",
        SEARCH,
    ),
    Mutation("validity: what does not heal can heal", "validity.py", "if early < late and held:", "if False:", SEARCH),
    Mutation(
        "validity: the order counts for the blinded", "validity.py", "if not reading.blinded:", "if True:", PROOFS
    ),
    Mutation(
        "validity: open fields can be signed",
        "validity.py",
        "if reading.signed and not reading.complete:",
        "if False:",
        SEARCH,
    ),
    Mutation("the document forgets flags", "document.py", '"flags": sorted(reading.flags),', '"flags": [],', WALK),
    Mutation(
        "the document forgets what was confirmed",
        "document.py",
        '"confirmed": entry.confirmed,',
        '"confirmed": False,',
        WALK,
    ),
    Mutation(
        "a note leaves no trace in the log",
        "rules.py",
        "key, site=site, note=line), notes=notes)",
        "key, site=site), notes=notes)",
        WALK,
    ),
)
