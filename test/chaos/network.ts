/**
 * A network of its own: each node in a namespace of the kernel, joined by a bridge, and this process on the bridge too. Made
 * inside a namespace that ends with this process (`run.ts` sees to it), so nothing of it is seen outside or stays. A cut
 * drops packets silently and in one direction, which is what real networks do at their worst.
 */
import { execFileSync } from "node:child_process";

const PREFIX = "10.77.0.";
const BRIDGE_HOST = 1;
const FIRST_HOST = 11;

export class Network {
  readonly #nodes: readonly string[];
  readonly #cuts = new Set<string>();

  constructor(nodes: readonly string[]) {
    this.#nodes = nodes;
    run("mount", "-t", "tmpfs", "none", "/run");
    run("ip", "link", "set", "lo", "up");
    run("ip", "link", "add", "bridge", "type", "bridge");
    run("ip", "address", "add", `${PREFIX}${BRIDGE_HOST}/24`, "dev", "bridge");
    run("ip", "link", "set", "bridge", "up");
    for (const node of nodes) {
      run("ip", "netns", "add", node);
      run("ip", "link", "add", `to-${node}`, "type", "veth", "peer", "name", "eth0", "netns", node);
      run("ip", "link", "set", `to-${node}`, "master", "bridge", "up");
      run("ip", "-n", node, "address", "add", `${this.addressOf(node)}/24`, "dev", "eth0");
      for (const device of ["lo", "eth0"]) run("ip", "-n", node, "link", "set", device, "up");
      this.#rules(node, ["add table inet cuts", "add chain inet cuts in { type filter hook input priority 0; }"]);
    }
  }

  addressOf(node: string): string {
    return `${PREFIX}${FIRST_HOST + this.#nodes.indexOf(node)}`;
  }

  /** Nothing that `from` sends reaches `to` any more; what `to` sends still reaches `from`. */
  cut(from: string, to: string): void {
    this.#cuts.add(`${from} ${to}`);
    this.#rules(to, [`add rule inet cuts in ip saddr ${this.addressOf(from)} drop`]);
  }

  /** Undoes every cut. */
  heal(): void {
    if (this.#cuts.size === 0) return;
    this.#cuts.clear();
    for (const node of this.#nodes) this.#rules(node, ["flush chain inet cuts in"]);
  }

  #rules(node: string, rules: readonly string[]): void {
    for (const rule of rules) run("ip", "netns", "exec", node, "nft", rule);
  }
}

/** Throws with what the program said where it fails. */
function run(program: string, ...args: readonly string[]): void {
  execFileSync(program, args, { stdio: ["ignore", "ignore", "pipe"] });
}
