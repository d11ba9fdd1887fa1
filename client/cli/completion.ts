/** `tidemark completion`: prints the script that completes verbs, options and their values in a shell. */
import { Argument, type Command } from "commander";
import { completionScript, SHELLS, type Shell } from "./completion-scripts.ts";
import { completionTree } from "./completion-tree.ts";
import { EXIT } from "./exit-codes.ts";
import { write, type Io } from "./io.ts";
import { jsonLine } from "./output.ts";
import { createProgram } from "./program.ts";
import { newVerb, type OutputFormat, withOutputOption } from "./verb.ts";

export function completionCommand(io: Io, onDone: (exitCode: number) => void): Command {
  const command = newVerb(
    "completion",
    "print a script that completes this command line in a shell",
    "source <(tidemark completion bash)                             # in ~/.bashrc",
    "source <(tidemark completion zsh)                              # in ~/.zshrc, after compinit",
    "tidemark completion fish > ~/.config/fish/completions/tidemark.fish",
  );
  return withOutputOption(command)
    .addArgument(new Argument("<shell>", "which shell").choices(SHELLS))
    .action(async (shell: Shell, options: { readonly output: OutputFormat }) => {
      const program = await createProgram(io, { onDone, onUsage: () => undefined });
      const script = completionScript(shell, completionTree(program));
      await write(io.stdout, options.output === "json" ? jsonLine({ shell, script }) : script);
      onDone(EXIT.ok);
    });
}
