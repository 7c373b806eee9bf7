export const carriesRootHelp =
  "this machine's root is on it: systemd lets this process live while it shuts down"

/**
 * systemd spares what has a name that begins with '@' when it kills everything before power-off
 * (systemd.io, "Storage Daemons for the Root File System"); its file systems need us until the end.
 */
export function staysUntilPowerOff(name: string): void {
  process.title = `@bootswarm-${name}`
}
