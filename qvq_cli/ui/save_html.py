"""A saved run as one HTML file without anything from elsewhere: no script, no font, no link."""

import html
from collections.abc import Sequence

from qvq_cli.reasoning.events import Record
from qvq_cli.ui.clean import clean
from qvq_cli.ui.pictures import Picture
from qvq_cli.ui.wording import image_line, no_answer, settings

_TITLE_CHARS = 80

# The policy is a second wall behind the escaping: a browser runs and fetches nothing for this page.
_PAGE = """<!DOCTYPE html>
<html>
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; --ink: #1c1c1c; --paper: #fdfdfb; --dim: #5c5c5c;
  --line: #d8d8d2; --good: #1a7f37; }}
@media (prefers-color-scheme: dark) {{ :root {{ --ink: #e6e6e3; --paper: #16171a; --dim: #a0a09c;
  --line: #3a3b40; --good: #4ac26b; }} }}
body {{ margin: 2rem auto; max-width: 46rem; padding: 0 1rem; color: var(--ink);
  background: var(--paper); font: 1rem/1.55 system-ui, sans-serif; }}
h2 {{ margin-top: 2rem; font-size: 1rem; color: var(--dim); }}
figure {{ margin: 1rem 0; }}
img {{ max-width: 100%; background: #fff; border: 1px solid var(--line); }}
figcaption, table {{ font-size: .875rem; color: var(--dim); }}
.text {{ white-space: pre-wrap; overflow-wrap: anywhere; }}
.reasoning {{ color: var(--dim); }}
.answer {{ border: 2px solid var(--good); border-radius: .5rem; padding: .75rem 1rem;
  font-size: 1.25rem; font-weight: 600; }}
.missing {{ border-color: var(--line); font-weight: 400; font-size: 1rem; }}
td {{ padding: .1rem 1rem .1rem 0; vertical-align: top; overflow-wrap: anywhere; }}
</style>
</head>
<body>
<h2>Question</h2>
{figures}
<div class="text" dir="auto">{question}</div>
<h2>Answer</h2>
<div class="text answer{missing}" dir="auto">{answer}</div>
<h2>Reasoning</h2>
<div class="text reasoning" dir="auto">{reasoning}</div>
<h2>What the model wrote as its answer</h2>
<div class="text reasoning" dir="auto">{answer_text}</div>
<h2>Settings</h2>
<table>
{settings}
</table>
</body>
</html>
"""


def to_html(record: Record, pictures: Sequence[Picture]) -> str:
    answer = no_answer(record).message if record.answer is None else record.answer.text
    return _PAGE.format(
        title=_escape(" ".join(record.question.split())[:_TITLE_CHARS]) or "qvq",
        figures="\n".join(_figures(record, pictures)),
        question=_escape(record.question),
        answer=_math(answer),
        missing=" missing" if record.answer is None else "",
        reasoning=_math(record.reasoning),
        answer_text=_math(record.answer_text),
        settings="\n".join(
            f"<tr><td>{_escape(name)}</td><td>{_escape(value)}</td></tr>"
            for name, value in settings(record)
        ),
    )


def _figures(record: Record, pictures: Sequence[Picture]) -> list[str]:
    """One figure a picture; what the model saw of it below, where the run came that far."""
    captions = [image_line(image) for image in record.images]
    captions += [picture.name for picture in pictures[len(captions) :]]
    return [
        f'<figure><img alt="{_escape(picture.name)}" src="{_escape(picture.data_uri())}">'
        f"<figcaption>{_escape(caption)}</figcaption></figure>"
        for picture, caption in zip(pictures, captions, strict=False)
    ]


def _escape(text: str) -> str:
    return html.escape(clean(text), quote=True)


def _math(text: str) -> str:
    from qvq_cli.latex import latex_to_unicode

    return _escape(latex_to_unicode(text))
