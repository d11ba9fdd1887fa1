/** What a verification of a data folder finds, of one file. */

/** `missing`: a file that another names. `unproven`: at the end of the log, perhaps torn by a crash. */
export type FolderFinding = {
  readonly file: string;
  readonly kind: "damaged" | "missing" | "unproven";
  readonly what: string;
  readonly place?: number;
  readonly end?: number;
};

export const A_FOLDER = "it is a folder, and should be a file";
