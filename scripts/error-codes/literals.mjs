/** The strings that an expression can give, followed through constants and parameters to the literals. */
import ts from 'typescript';
import { descendants } from './syntax.mjs';

/**
 * Literals, both branches of a condition, templates of what can be resolved, constants, and parameters: for those the
 * arguments of all calls of the function, in its own file, or in every file if it is exported.
 *
 * @returns `texts`: `{ text, node }`, the string and the expression that decides it; `unresolved`: the expressions
 *   where the search ended
 */
export function resolveText(expression, sources, seen = new Set()) {
  const again = (node) => resolveText(node, sources, seen);
  if (ts.isStringLiteralLike(expression)) return literal(expression.text, expression);
  if (ts.isParenthesizedExpression(expression)) return again(expression.expression);
  if (ts.isConditionalExpression(expression)) {
    return merge([again(expression.whenTrue), again(expression.whenFalse)]);
  }
  if (ts.isTemplateExpression(expression)) return resolveTemplate(expression, again);
  if (!ts.isIdentifier(expression)) return unresolved(expression);
  const declaration = declarationOf(expression);
  if (declaration === undefined || seen.has(declaration)) return unresolved(expression);
  seen.add(declaration);
  if (ts.isVariableDeclaration(declaration)) return again(declaration.initializer);
  const passed = argumentsFor(declaration, sources);
  return passed.length === 0 ? unresolved(expression) : merge(passed.map(again));
}

function resolveTemplate(template, again) {
  let result = literal(template.head.text, template);
  for (const span of template.templateSpans) {
    const inner = again(span.expression);
    if (inner.unresolved.length > 0) return unresolved(template);
    result = {
      texts: result.texts.flatMap(({ text }) =>
        inner.texts.map((part) => ({ text: text + part.text + span.literal.text, node: part.node })),
      ),
      unresolved: [],
    };
  }
  return result;
}

/** The constant or the parameter that `identifier` names; `undefined` for what changes or comes from elsewhere. */
function declarationOf(identifier) {
  for (let scope = identifier.parent; scope !== undefined; scope = scope.parent) {
    const declared = [...(scope.parameters ?? []), ...constantsOf(scope)];
    const found = declared.find(({ name }) => ts.isIdentifier(name) && name.text === identifier.text);
    if (found !== undefined) return found;
  }
  return undefined;
}

function constantsOf(scope) {
  if (!ts.isBlock(scope) && !ts.isSourceFile(scope)) return [];
  return scope.statements
    .filter(ts.isVariableStatement)
    .map(({ declarationList }) => declarationList)
    .filter(({ flags }) => flags & ts.NodeFlags.Const)
    .flatMap(({ declarations }) => declarations)
    .filter(({ initializer }) => initializer !== undefined);
}

function argumentsFor(parameter, sources) {
  const callee = parameter.parent;
  const index = callee.parameters.indexOf(parameter);
  const own = callee.getSourceFile();
  const names = namesOf(callee, own);
  const exported = callee.modifiers?.some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword);
  return (exported ? sources : [own]).flatMap((source) =>
    callsIn(source)
      .filter((call) => names.has(call.expression.getText()) && call.arguments.length > index)
      .map((call) => call.arguments[index]),
  );
}

/** What a function is called by: its name, that of its constant, or, for one that another returns, all of that type. */
function namesOf(callee, source) {
  if (callee.name !== undefined) return new Set([callee.name.text]);
  if (ts.isVariableDeclaration(callee.parent)) return new Set([callee.parent.name.text]);
  const maker =
    ts.isReturnStatement(callee.parent) && ts.findAncestor(callee.parent, ts.isFunctionDeclaration);
  const type = maker ? maker.type?.getText() : undefined;
  if (type === undefined) return new Set();
  return new Set(
    descendants(source, (node) => ts.isParameter(node) || ts.isVariableDeclaration(node))
      .filter(
        ({ type: own, initializer }) => own?.getText() === type || isCallOf(initializer, maker.name.text),
      )
      .map(({ name }) => name.getText()),
  );
}

function isCallOf(node, name) {
  return node !== undefined && ts.isCallExpression(node) && node.expression.getText() === name;
}

function callsIn(source) {
  return descendants(source, ts.isCallExpression);
}

function literal(text, node) {
  return { texts: [{ text, node }], unresolved: [] };
}

function unresolved(node) {
  return { texts: [], unresolved: [node] };
}

function merge(results) {
  return {
    texts: results.flatMap(({ texts }) => texts),
    unresolved: results.flatMap((result) => result.unresolved),
  };
}
