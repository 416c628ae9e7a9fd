/** The error codes that TypeScript files raise, found in the syntax alone. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';
import { listFiles } from '../building/inputs.mjs';
import { resolveText } from './literals.mjs';
import { descendants } from './syntax.mjs';

const BASE_CLASS = 'TensorGuardError';

/**
 * Codes in `folders` below `root`: the first argument of an error class's constructor, and `code` in what the command
 * line prints as `{ error: { code } }`.
 *
 * `codes` maps a code to its places, "file:line". `unresolved` are the expressions that are no literals and come from
 * none: what they give has to be known from elsewhere.
 */
export function raisedCodes(root, folders) {
  const files = folders.flatMap((folder) => listFiles(root, folder, (file) => file.endsWith('.ts')));
  const sources = files.map((file) =>
    ts.createSourceFile(file, readFileSync(join(root, file), 'utf8'), ts.ScriptTarget.Latest, true),
  );
  const classes = errorClasses(sources);
  const codes = new Map();
  const unresolved = new Map();
  for (const source of sources) {
    for (const expression of codeExpressions(source, classes)) {
      const found = resolveText(expression, sources);
      for (const { text, node } of found.texts) codes.set(text, [...(codes.get(text) ?? []), placeOf(node)]);
      for (const node of found.unresolved)
        unresolved.set(node, { file: node.getSourceFile().fileName, text: node.getText() });
    }
  }
  return { codes, unresolved: [...unresolved.values()] };
}

/** Class name to whether its constructor is called with the code; false where the class chooses the code itself. */
function errorClasses(sources) {
  const declarations = sources.flatMap((source) => descendants(source, ts.isClassDeclaration));
  const classes = new Map([[BASE_CLASS, true]]);
  for (let before = 0; before < classes.size; ) {
    before = classes.size;
    for (const declaration of declarations) {
      const parent = declaration.heritageClauses?.find(({ token }) => token === ts.SyntaxKind.ExtendsKeyword);
      if (!classes.has(parent?.types[0].expression.getText())) continue;
      const own = declaration.members.find(ts.isConstructorDeclaration);
      classes.set(declaration.name.text, own === undefined || own.parameters[0]?.name.getText() === 'code');
    }
  }
  return classes;
}

function codeExpressions(source, classes) {
  return descendants(source).flatMap((node) => {
    if (ts.isNewExpression(node) && classes.get(node.expression.getText()))
      return node.arguments?.slice(0, 1) ?? [];
    if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.SuperKeyword) {
      const declaration = ts.findAncestor(node, ts.isClassDeclaration);
      return classes.get(declaration?.name?.text) === false ? node.arguments.slice(0, 1) : [];
    }
    return isPrintedError(node) ? printedCode(node.initializer) : [];
  });
}

function isPrintedError(node) {
  return (
    ts.isPropertyAssignment(node) &&
    node.name.getText() === 'error' &&
    ts.isObjectLiteralExpression(node.initializer)
  );
}

function printedCode(object) {
  const property = object.properties.find(({ name }) => name?.getText() === 'code');
  if (property === undefined) return [];
  return [ts.isPropertyAssignment(property) ? property.initializer : property.name];
}

function placeOf(node) {
  const source = node.getSourceFile();
  return `${source.fileName}:${source.getLineAndCharacterOfPosition(node.getStart()).line + 1}`;
}
