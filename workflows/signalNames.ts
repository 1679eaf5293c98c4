/** Signals that are sent from where the workflows' own definitions cannot be loaded. */

/** To the pipeline: look at once. */
export const lookSignalName = 'look';
