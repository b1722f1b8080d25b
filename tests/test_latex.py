"""LaTeX shown as Unicode: formulas, the prose around them, and whatever else a model may write."""

import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qvq_cli.latex import latex_to_unicode


@pytest.mark.parametrize(
    ("latex", "unicode"),
    [
        (r"\frac{1}{5}", "1/5"),
        (r"\dfrac12", "1/2"),
        (r"\dfrac{v^2}{2g(\sin\theta - \mu\cos\theta)}", "v²/(2g(sin θ − μ cos θ))"),
        (r"\frac{a+b}{c}", "(a+b)/c"),
        (r"\frac{1}{2a}", "1/(2a)"),
        (r"\frac{\frac{1}{2}}{3}", "(1/2)/3"),
        (r"\frac{1}{\sqrt{2}}", "1/√2"),
        (r"\frac{1}{3}\pi r^2 h", "(1/3)πr² h"),
        (r"2\frac{1}{3}", "2 1/3"),
        (r"x\frac{1}{3}", "x(1/3)"),
        (r"\sin\frac{\pi}{2}", "sin(π/2)"),
        (r"\left( \frac{a}{b} \right)^2", "(a/b)²"),
        (r"\frac{-b \pm \sqrt{b^2 - 4ac}}{2a}", "(-b ± √(b² − 4ac))/(2a)"),
        (r"\left.\frac{dy}{dx}\right|_{x=0}", "dy/dx|ₓ₌₀"),
    ],
)
def test_fractions_keep_their_meaning_in_a_line(latex: str, unicode: str) -> None:
    assert latex_to_unicode(f"${latex}$") == unicode


@pytest.mark.parametrize(
    ("latex", "unicode"),
    [
        (r"\boxed{-29}", "-29"),
        (r"7\pi", "7π"),
        (r"3159000\ \text{cubic cm}", "3159000 cubic cm"),
        (r"\sqrt{3}", "√3"),
        (r"\sqrt{3}x", "√(3)x"),
        (r"\sqrt{x+1}", "√(x+1)"),
        (r"\sqrt[3]{2}", "∛2"),
        (r"\sqrt[n]{2}", "ⁿ√2"),
        (r"x^{10}", "x¹⁰"),
        (r"x^{Q+1}", "x^(Q+1)"),
        (r"e^{x^2}", "e^(x²)"),
        (r"e^{-x}", "e⁻ˣ"),
        (r"v_{AB}", "v_AB"),
        (r"F_{\text{合}}", "F_合"),
        (r"x_1^2", "x₁²"),
        (r"H_2SO_4", "H₂SO₄"),
        (r"a \Rightarrow b", "a ⇒ b"),
        (r"x\le 5", "x≤5"),
        (r"x \le 5", "x ≤ 5"),
        (r"x = \pm 5", "x = ±5"),
        (r"\angle ABC = 60^\circ", "∠ABC = 60°"),
        (r"25^\circ\text{C}", "25°C"),
        (r"\triangle ABC \sim \triangle DEF", "△ABC ~ △DEF"),
        (r"\sin^2\theta + \cos^2\theta = 1", "sin² θ + cos² θ = 1"),
        (r"2\sin x", "2 sin x"),
        (r"\log_2 8", "log₂ 8"),
        (r"\lim_{x \to 0} x", "lim_(x → 0) x"),
        (r"\int_0^1 x\,dx", "∫₀¹ x dx"),
        (r"\sum_{i=1}^{n} i", "∑ᵢ₌₁ⁿ i"),
        (r"\vec{a}\cdot\vec{b}", "a⃗·b⃗"),
        (r"\overrightarrow{AB}", "AB⃗"),
        (r"\overline{AB}", "A̅B̅"),
        (r"\hat{\theta}", "θ̂"),
        (r"\mathbb{R}", "ℝ"),
        (r"\mathbf{F}", "F"),
        (r"6.02\times10^{23}\,\mathrm{mol^{-1}}", "6.02×10²³ mol⁻¹"),
        (r"50\%", "50%"),
        ("50%", "50%"),
        (r"\{ 1, 2 \}", "{1, 2}"),
        (r"|-5|", "|-5|"),
        (r"a - b", "a − b"),
        (r"-29", "-29"),
        (r"\binom{5}{2}", "C(5, 2)"),
        (r"A \xrightarrow{\Delta} B", "A →(Δ) B"),
        (r"a \not= b", "a ≠ b"),
        (r"a \ne b", "a ≠ b"),
        (r"\textcolor{red}{5}", "5"),
        (r"\text{if $x^2$ is}", "if x² is"),
        (r"\begin{cases} x = 1 \\ y = 2 \end{cases}", "{ x = 1; y = 2 }"),
        (r"\begin{pmatrix} 1 & 2 \\ 3 & 4 \end{pmatrix}", "(1 2; 3 4)"),
        (r"\begin{array}{cc} 1 & 2 \\ 3 & 4 \end{array}", "[1 2; 3 4]"),
        (r"\begin{aligned} a &= b \\ &= c \end{aligned}", "a = b\n= c"),
    ],
)
def test_formulas(latex: str, unicode: str) -> None:
    assert latex_to_unicode(f"$${latex}$$") == unicode


@pytest.mark.parametrize(
    "wrapped", ["$ {} $", "${}$", "$$ {} $$", "$$\n{}\n$$", r"\( {} \)", r"\[{}\]", "{}"]
)
def test_every_delimiter_and_none(wrapped: str) -> None:
    formula = r"x = \frac{v^2}{2g}"
    assert latex_to_unicode(f"{wrapped}".replace("{}", formula)) == "x = v²/(2g)"


@pytest.mark.parametrize(
    "prose",
    [
        "",
        "plain words, nothing else",
        "It costs $5 and $7.",
        "from $5 to $10, or US$3",
        "the price is $5",
        "snake_case and file_2.png stay, so does ^_^",
        r"C:\temp\new stays",
        "a  b\n\n  c\t~d & e # 50% `x`",
        "二次函数的图像",
        "**bold** and 1. lists\n- as they are\n",
    ],
)
def test_prose_is_left_alone(prose: str) -> None:
    assert latex_to_unicode(prose) == prose


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("so $x=\\frac12$ then\n\n$y$ too", "so x=1/2 then\n\ny too"),
        ("it costs $5 or $\\frac12$ of that", "it costs $5 or 1/2 of that"),
        (r"pay \$5 for $x^2$", "pay $5 for x²"),
        ("1. $ x = 1 $\n\n2. $ y = 2 $", "1. x = 1\n\n2. y = 2"),
        ("因此 $\\angle A = 30^\\circ$，选 B。", "因此 ∠A = 30°，选 B。"),
        (r"the box \boxed{\dfrac{1}{5}} holds", "the box 1/5 holds"),
        ("x^2 and H_2O and a_n grow", "x² and H₂O and aₙ grow"),
        ("(a) $5$\n(b) \\(6\\)", "(a) 5\n(b) 6"),
        (r"**\pi** is round", "**π** is round"),
        ("unclosed $x^2 stays", "unclosed $x² stays"),
        ("$$\nx = 1\n$$\nis it", "x = 1\nis it"),
    ],
)
def test_formulas_in_prose(text: str, shown: str) -> None:
    assert latex_to_unicode(text) == shown


@pytest.mark.parametrize(
    ("latex", "shown"),
    [
        (r"$\foo{bar} + 1$", "foo bar + 1"),
        (r"\foo{bar} baz", r"\foo{bar} baz"),
        (r"$\frac{1}$", "frac 1"),
        (r"\boxed{5", "5"),
        ("\\", "\\"),
        ("$x^$", "x^"),
        (r"$\input{secret.tex}$", "input secret.tex"),
    ],
)
def test_what_is_unknown_or_broken_stays_readable(latex: str, shown: str) -> None:
    assert latex_to_unicode(latex) == shown


SCRAPS = r"""
\ { } $ $$ ^ _ & % ~ [ ] ( ) \( \] a 1 中 - | frac sqrt text vec left \not \\ \color \hat
\mathbb \begin{cases} \end{cases} \begin{array} \textfrac \sin
"""
_PIECES = st.sampled_from([*SCRAPS.split(), " ", "\n"])


@settings(max_examples=300)
@given(st.one_of(st.text(), st.lists(_PIECES, max_size=30).map("".join)))
def test_any_text_is_shown(text: str) -> None:
    assert isinstance(latex_to_unicode(text), str)


@given(st.text(alphabet=st.characters(exclude_characters="\\$^_")))
def test_text_without_latex_is_untouched(text: str) -> None:
    assert latex_to_unicode(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "$" + "{" * 20_000 + "$",
        "$" + "\\sqrt{" * 2_000 + "$",
        "\\begin{cases}" * 2_000,
        "$" * 20_000,
        "\\[" * 20_000,
        "\\" * 20_001,
        "x_{" * 10_000,
        "\\frac" * 5_000,
    ],
    ids=lambda text: text[:8],
)
def test_nesting_without_end_is_survived(text: str) -> None:
    assert isinstance(latex_to_unicode(text), str)


def test_too_deep_nesting_comes_back_as_it_was() -> None:
    deep = "{" * 5_000 + "x" + "}" * 5_000
    assert latex_to_unicode(f"$\\pi{deep}$") == f"\\pi{deep}"


def test_the_library_is_silent(capfd: pytest.CaptureFixture[str]) -> None:
    latex_to_unicode(r"$\textfrac \frac{1} \begin{x} } \unknown % \hat \input{a}$")
    assert capfd.readouterr() == ("", "")


def test_the_library_is_loaded_only_for_latex() -> None:
    program = (
        "import sys; from qvq_cli.latex import latex_to_unicode as show; show('no formula, 5');"
        "before = 'pylatexenc' in sys.modules; show('$x^2$');"
        "print(before, 'pylatexenc' in sys.modules)"
    )
    shown = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert shown.stdout.split() == ["False", "True"]
