/** The search attributes of every workflow: they make a pipeline's workflows one list in Temporal. All are Keywords. */
import { defineSearchAttributeKey, type SearchAttributePair } from '@temporalio/common';

export const pipelineAttribute = defineSearchAttributeKey('LockstepPipeline', 'KEYWORD');
export const stageAttribute = defineSearchAttributeKey('LockstepStage', 'KEYWORD');
export const tableAttribute = defineSearchAttributeKey('LockstepTable', 'KEYWORD');

export const searchAttributeNames = [pipelineAttribute.name, stageAttribute.name, tableAttribute.name] as const;

export function searchAttributes(pipeline: string, stage: string, table?: string): SearchAttributePair[] {
  return [
    { key: pipelineAttribute, value: pipeline },
    { key: stageAttribute, value: stage },
    ...(table === undefined ? [] : [{ key: tableAttribute, value: table }]),
  ];
}
