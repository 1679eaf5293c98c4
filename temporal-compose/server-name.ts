/** The five servers and the ports they listen on. */
export const serverNames = ['mysql', 'mongo', 'redis', 'kafka', 'temporal'] as const;
export type ServerName = (typeof serverNames)[number];

/** Every port a stack needs, with the number its users expect when it is free. */
export const usualPorts = {
  mysql: 3306,
  mongo: 27017,
  redis: 6379,
  kafka: 9092,
  kafkaController: 9093,
  temporal: 7233,
  temporalUi: 8233,
} as const;
export type PortName = keyof typeof usualPorts;
export type Ports = Readonly<Record<PortName, number>>;
export const portNames = Object.keys(usualPorts) as readonly PortName[];

/** A server's name as a person writes it. */
export const titles: Readonly<Record<ServerName, string>> = {
  mysql: 'MySQL',
  mongo: 'MongoDB',
  redis: 'Redis',
  kafka: 'Kafka',
  temporal: 'Temporal',
};
