/**
 * The completion tree as scripts for bash, zsh and fish. They are static: completing asks no server, and starts no Node.
 * Texts of ours are quoted for the shell; each script first finds which verb the words so far have reached.
 */
import { unreachable } from "../../src/lib/assert.ts";
import type { CompletedOption, CompletedVerb, Value } from "./completion-tree.ts";

export const SHELLS = ["bash", "zsh", "fish"] as const;
export type Shell = (typeof SHELLS)[number];

export function completionScript(shell: Shell, tree: readonly CompletedVerb[]): string {
  switch (shell) {
    case "bash":
      return bashScript(tree);
    case "zsh":
      return zshScript(tree);
    case "fish":
      return fishScript(tree);
    default:
      return unreachable(shell);
  }
}

function bashScript(tree: readonly CompletedVerb[]): string {
  const values = tree.flatMap((verb) =>
    valued(verb).map(({ names, value }) => {
      const patterns = names.map((name) => quoted(`${verb.path}|${name}`)).join("|");
      return `    ${patterns}) ${bashValue(value)} return ;;`;
    }),
  );
  const words = tree.map((verb) => {
    const options = verb.options.flatMap(({ names }) => names);
    const plain = verb.verbs.length > 0 ? quotedWords(verb.verbs.map(({ name }) => name)) : undefined;
    const rest = plain === undefined ? bashValue(verb.argument) : `COMPREPLY=($(compgen -W ${plain} -- "$current"));`;
    return [
      `    ${quoted(verb.path)})`,
      `      if [[ $current == -* ]]; then COMPREPLY=($(compgen -W ${quotedWords(options)} -- "$current"))`,
      `      else ${rest} fi ;;`,
    ].join("\n");
  });
  return `# bash completion for tidemark; made by \`tidemark completion bash\`
_tidemark() {
  local current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD-1]} path= word at
  for ((at = 1; at < COMP_CWORD; at++)); do
    word=\${COMP_WORDS[at]}
    case "\${path:+$path }$word" in
      ${pathPatterns(tree)}) path="\${path:+$path }$word" ;;
    esac
  done
  COMPREPLY=()
  case "$path|$previous" in
${values.join("\n")}
  esac
  case "$path" in
${words.join("\n")}
  esac
}
complete -o filenames -F _tidemark tidemark
`;
}

function bashValue(value: Value): string {
  switch (value.kind) {
    case "words":
      return `COMPREPLY=($(compgen -W ${quotedWords(value.words)} -- "$current"));`;
    case "file":
      return `COMPREPLY=($(compgen -f -- "$current"));`;
    case "free":
      return "COMPREPLY=();";
    default:
      return unreachable(value);
  }
}

function zshScript(tree: readonly CompletedVerb[]): string {
  const values = tree.flatMap((verb) =>
    valued(verb).map(({ names, value }) => {
      const patterns = names.map((name) => quoted(`${verb.path}|${name}`)).join("|");
      return `    ${patterns}) ${zshValue(value)}; return ;;`;
    }),
  );
  const words = tree.map((verb) => {
    const options = verb.options.flatMap(({ names, description }) => names.map((name) => described(name, description)));
    const verbs = verb.verbs.map(({ name, description }) => described(name, description));
    return [
      `    ${quoted(verb.path)})`,
      `      if [[ $current == -* ]]; then`,
      `        candidates=(${options.join(" ")})`,
      `        _describe -o option candidates`,
      ...(verbs.length > 0
        ? [`      else`, `        candidates=(${verbs.join(" ")})`, `        _describe verb candidates`]
        : [`      else`, `        ${zshValue(verb.argument)}`]),
      `      fi ;;`,
    ].join("\n");
  });
  return `#compdef tidemark
# zsh completion for tidemark; made by \`tidemark completion zsh\`
_tidemark() {
  local current=\${words[CURRENT]} previous=\${words[CURRENT-1]} verb_path= word
  local -a candidates
  for word in \${words[2,CURRENT-1]}; do
    case "\${verb_path:+$verb_path }$word" in
      ${pathPatterns(tree)}) verb_path="\${verb_path:+$verb_path }$word" ;;
    esac
  done
  case "$verb_path|$previous" in
${values.join("\n")}
  esac
  case "$verb_path" in
${words.join("\n")}
  esac
}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
  _tidemark "$@"
else
  compdef _tidemark tidemark
fi
`;
}

function zshValue(value: Value): string {
  switch (value.kind) {
    case "words":
      return `compadd -- ${value.words.map(quoted).join(" ")}`;
    case "file":
      return "_files";
    case "free":
      return "_message 'no completion'";
    default:
      return unreachable(value);
  }
}

function fishScript(tree: readonly CompletedVerb[]): string {
  const lines = tree.flatMap((verb) => {
    const at = `-n ${quoted(`__tidemark_at ${quoted(verb.path)}`)}`;
    const below = verb.verbs.map(
      ({ name, description }) => `complete -c tidemark ${at} -a ${quoted(name)} -d ${quoted(description)}`,
    );
    const options = verb.options.map((option) => `complete -c tidemark ${at} ${fishOption(option)}`);
    return [...below, ...fishArgument(verb.argument, at), ...options];
  });
  return `# fish completion for tidemark; made by \`tidemark completion fish\`
function __tidemark_at --description 'Whether the words so far have reached this verb'
    set -l path
    for word in (commandline -opc)[2..-1]
        set -l next (string join ' ' -- $path $word)
        switch "$next"
            case ${paths(tree).map(quoted).join(" ")}
                set path $next
        end
    end
    test "$path" = "$argv[1]"
end
complete -c tidemark -f
${lines.join("\n")}
`;
}

function fishOption({ names, description, value }: CompletedOption): string {
  const flags = names.map((name) => (name.startsWith("--") ? `-l ${name.slice(2)}` : `-s ${name.slice(1)}`));
  return [...flags, ...(value === undefined ? [] : [fishValue(value)]), `-d ${quoted(description)}`].join(" ");
}

function fishValue(value: Value): string {
  switch (value.kind) {
    case "words":
      return `-x -a ${quoted(value.words.join(" "))}`;
    case "file":
      return "-r -F";
    case "free":
      return "-x";
    default:
      return unreachable(value);
  }
}

function fishArgument(value: Value, at: string): string[] {
  switch (value.kind) {
    case "words":
      return [`complete -c tidemark ${at} -a ${quoted(value.words.join(" "))}`];
    case "file":
      return [`complete -c tidemark ${at} -F`];
    case "free":
      return [];
    default:
      return unreachable(value);
  }
}

function valued(verb: CompletedVerb): { readonly names: readonly string[]; readonly value: Value }[] {
  return verb.options.flatMap(({ names, value }) => (value === undefined ? [] : [{ names, value }]));
}

function paths(tree: readonly CompletedVerb[]): string[] {
  return tree.map(({ path }) => path).filter((path) => path !== "");
}

function pathPatterns(tree: readonly CompletedVerb[]): string {
  return paths(tree).map(quoted).join("|");
}

/** `name:description`, as `_describe` takes it. */
function described(name: string, description: string): string {
  return quoted(`${name}:${description}`);
}

function quotedWords(words: readonly string[]): string {
  return quoted(words.join(" "));
}

/** For all three shells: they read nothing inside single quotes but the quote itself (fish, the backslash too). */
function quoted(text: string): string {
  return `'${text.replaceAll("\\", "").replaceAll("'", "’")}'`;
}
