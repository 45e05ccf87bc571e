"""Pages as the editor hands them to the browser."""

import pytest

from lsml.labeling.html import as_edited


@pytest.mark.parametrize(
    ("html", "edited"),
    [
        ("<!doctype html><p class='x'>a<!-- c -->b</p>", "<p>ab</p>"),
        ("a<script>if (x < 1) {}</script>b<iframe src='/x'>c</iframe>d", "abd"),
        ('a<iframe src="https://www.youtube.com/embed/x"></iframe>b', "a<iframe></iframe>b"),
        ("a<iframe src='https://[x'>c</iframe>b", "ab"),
        ("<style>p > b {}</style>1 &lt; 2 &amp;amp; 3", "<style>p > b {}</style>1 &lt; 2 &amp;amp; 3"),
        ("<p>a<p>b", "<p>a</p><p>b</p>"),
        ("<b>a<i>b</b>c</i>", "<b>a<i>b</i></b>c"),
        ("<table><tr><td>a<td>b<tr><td>c</table>", "<table><tr><td>a</td><td>b</td></tr><tr><td>c</td></tr></table>"),
        ("<ul><li>a<li>b</ul>c", "<ul><li>a</li><li>b</li></ul>c"),
        ("a</p>b</br>c</b>d</img>", "a<p></p>b<br />cd"),
        ("a<br/>b<wbr>c<div/>d", "a<br />b<wbr></wbr>c<div>d</div>"),
        ("<svg><a/>x</svg><a/>y", "<svg><a></a>x</svg><a>y</a>"),
        ("<svg><foreignObject><p>a<p>b</svg>", "<svg><foreignobject><p>a</p><p>b</p></foreignobject></svg>"),
        ("", ""),
    ],
)
def test_a_page_is_written_anew(html, edited):
    assert as_edited(html) == edited
