/** What a data folder holds beside its identity, its locks and `logs/`; and which log that is. */
export const IMAGE_FOLDER = "image";
export const SECRETS_FOLDER = "secrets";
/** The only log of a node today. */
export const LOG_ID = 0;
