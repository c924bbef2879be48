"""Rewrites the syntax tree of a template, so that every operation with a cost takes it from the budget.

The operators that Jinja2 compiles to Python's own become internal filters, whose names cannot be written in a template;
loops, macros and blocks take the steps of their contents. The tree is rewritten before code is generated, and nothing
is evaluated at compile time, so checking a file takes time in proportion to its length.
"""

from __future__ import annotations

import math
from typing import Any, Final

from jinja2 import TemplateSyntaxError, nodes
from jinja2.visitor import NodeTransformer

from mockrec.engine.rules.templates.budget import MAX_BITS

EACH: Final = "each item"
SPEND: Final = "what it costs"
CONCAT: Final = "side by side"
COMPARE: Final = "compared with"
SLICE: Final = "part of"
KEY: Final = "as a key"

_NODE_STEPS = 1
_LOOP_STEPS = 3


def rewritten(template: nodes.Template) -> nodes.Template:
    """The tree with its costs. Raises TemplateSyntaxError for numbers that are too large."""
    tree = _Rewriter().visit(template)
    assert isinstance(tree, nodes.Template)
    steps, size = _cost_of(tree.body)
    tree.body.insert(0, _spend(steps, size, 1))
    return tree


class _Rewriter(NodeTransformer):
    """Visits inner nodes first, so that the cost of a loop is known when the loop around it is visited."""

    def visit_Const(self, node: nodes.Const) -> nodes.Node:
        value = node.value
        if isinstance(value, float) and not math.isfinite(value):
            raise TemplateSyntaxError("a number is too large: at most about 1.8e308", node.lineno)
        if isinstance(value, int) and value.bit_length() > MAX_BITS:
            raise TemplateSyntaxError(f"a number is too large: at most {MAX_BITS:,} bits", node.lineno)
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:
        self.generic_visit(node)
        return _filter(nodes.Tuple(node.nodes, "load", lineno=node.lineno), CONCAT)

    def visit_Compare(self, node: nodes.Compare) -> nodes.Node:
        plain = len(node.ops) == 1 and (_is_plain(node.expr) or _is_plain(node.ops[0].expr))
        if plain and node.ops[0].op not in ("in", "notin"):
            self.generic_visit(node)
            return node
        self.generic_visit(node)
        arguments: list[nodes.Expr] = []
        for operand in node.ops:
            arguments += (nodes.Const(operand.op, lineno=node.lineno), operand.expr)
        return _filter(node.expr, COMPARE, *arguments)

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Node:
        self.generic_visit(node)
        if isinstance(node.arg, nodes.Slice):
            parts = (node.arg.start, node.arg.stop, node.arg.step)
            return _filter(node.node, SLICE, *(part or nodes.Const(None) for part in parts))
        if not isinstance(node.arg, nodes.Const):
            node.arg = _filter(node.arg, KEY)
        return node

    def visit_Pair(self, node: nodes.Pair) -> nodes.Node:
        self.generic_visit(node)
        if not isinstance(node.key, nodes.Const):
            node.key = _filter(node.key, KEY)
        return node

    def visit_For(self, node: nodes.For) -> nodes.Node:
        self.generic_visit(node)
        steps, size = _cost_of(node.body)
        if node.test is not None:
            steps += _cost(node.test)[0]
        if node.recursive:
            # `loop(…)` runs the body again for other items.
            node.body.insert(0, _spend(steps + _LOOP_STEPS, size, node.lineno))
            steps = size = 0
        costs = (nodes.Const(steps + _LOOP_STEPS), nodes.Const(size))
        assert isinstance(node.iter, nodes.Expr)
        node.iter = _filter(node.iter, EACH, *costs)
        return node

    def visit_Include(self, node: nodes.Include) -> nodes.Node:
        raise TemplateSyntaxError("a template stands alone: include, import and extends find no other", node.lineno)

    visit_Import = visit_FromImport = visit_Extends = visit_Include

    def visit_Macro(self, node: nodes.Macro) -> nodes.Node:
        return self._with_cost(node)

    def visit_CallBlock(self, node: nodes.CallBlock) -> nodes.Node:
        return self._with_cost(node)

    def visit_Block(self, node: nodes.Block) -> nodes.Node:
        return self._with_cost(node)

    def _with_cost(self, node: Any) -> nodes.Node:
        self.generic_visit(node)
        node.body.insert(0, _spend(*_cost_of(node.body), node.lineno))
        return node  # type: ignore[no-any-return]


def _is_plain(node: nodes.Node) -> bool:
    """Whether a node is a single constant; a comparison with it does not iterate over the other side."""
    return isinstance(node, nodes.Const)


def _filter(node: nodes.Expr, name: str, *arguments: nodes.Expr) -> nodes.Filter:
    return nodes.Filter(node, name, list(arguments), [], None, None, lineno=node.lineno)


def _spend(steps: int, size: int, line: int) -> nodes.ExprStmt:
    spend = nodes.Filter(nodes.Const(steps), SPEND, [nodes.Const(size)], [], None, None, lineno=line)
    return nodes.ExprStmt(spend, lineno=line)


def _cost_of(body: list[Any]) -> tuple[int, int]:
    costs = [_cost(node) for node in body]
    return sum(steps for steps, _ in costs), sum(size for _, size in costs)


def _cost(node: nodes.Node) -> tuple[int, int]:
    """Steps and bytes of a node, without those of inner nodes that take their own."""
    if isinstance(node, nodes.TemplateData):
        return 1, len(node.data) * (1 if node.data.isascii() else 4)
    if isinstance(node, nodes.For):
        steps, size = _cost_of(node.else_)
        return steps + _LOOP_STEPS + _cost(node.iter)[0], size
    if isinstance(node, (nodes.Macro, nodes.CallBlock, nodes.Block)):
        return 5, 0
    if isinstance(node, nodes.If):
        # One branch is taken; in the worst case all conditions are evaluated.
        branches = [_cost_of(node.body), _cost_of(node.else_)]
        branches += [_cost_of(branch.body) for branch in node.elif_]
        tests = sum(_cost(test.test)[0] for test in (node, *node.elif_))
        return tests + max(steps for steps, _ in branches), max(size for _, size in branches)
    steps, size = _NODE_STEPS, 0
    for child in node.iter_child_nodes():
        more, larger = _cost(child)
        steps += more
        size += larger
    return steps, size
