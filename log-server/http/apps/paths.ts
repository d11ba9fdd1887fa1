/** Where apps are: what stands in the URL of each route. */
import { Type } from "typebox";

export const APPS_PATH = "/v1/apps";
const APPS_PREFIX = `${APPS_PATH}/`;
export const APP_PATH = `${APPS_PREFIX}:app`;

/** Percent-encoded in the URL. */
export const AppId = Type.Object({ app: Type.String() });

const VERBS: readonly string[] = ["pause", "resume", "reset"];

/** The methods of a path below `/v1/apps/`; undefined where nothing is. */
export function appMethods(path: string): string | undefined {
  if (!path.startsWith(APPS_PREFIX)) return undefined;
  const [app = "", verb, ...rest] = path.slice(APPS_PREFIX.length).split("/");
  if (app === "" || rest.length > 0) return undefined;
  if (verb === undefined) return "GET, PUT, DELETE, OPTIONS";
  return VERBS.includes(verb) ? "POST, OPTIONS" : undefined;
}
