/**
 * Passwords and keys of one stack: made when the stack is made, kept in its state folder (mode 0600), nowhere else.
 */
import { z } from 'zod';

export const secretsSchema = z.object({
  mysql: z.string().min(1),
  mongo: z.string().min(1),
  redis: z.string().min(1),
  /** What members of the MongoDB replica set show each other. MongoDB wants one as soon as a replica set has users. */
  mongoKey: z.string().min(6),
  /** No secret, but of the same kind: random, made once, and how we know a Kafka broker as ours. */
  kafkaCluster: z.string().length(22),
});
export type Secrets = Readonly<z.infer<typeof secretsSchema>>;

/** `random` gives that many random bytes. Only letters, digits, `-` and `_`: nothing to escape in a URI, SQL or a config. */
export function makeSecrets(random: (bytes: number) => Buffer): Secrets {
  const password = (): string => random(24).toString('base64url');
  return {
    mysql: password(),
    mongo: password(),
    redis: password(),
    mongoKey: random(96).toString('base64'),
    kafkaCluster: clusterId(random(16)),
  };
}

/** Kafka refuses an id that begins with `-`: a first byte below 128 makes the first letter one of A–f. */
function clusterId(bytes: Buffer): string {
  bytes[0] = (bytes[0] ?? 0) & 0x7f;
  return bytes.toString('base64url');
}
