import { BlockList, isIPv4 } from 'node:net';

// What Python's ipaddress calls not global (the stock server's test), and multicast.
const NOT_PUBLIC_IPV4 = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 4],
  ['240.0.0.0', 4],
] as const;

// Within 2000::/3, the only part of IPv6 that is given out for use in the internet.
const NOT_PUBLIC_IPV6 = [
  ['2001::', 23],
  ['2001:db8::', 32],
  ['3fff::', 20],
] as const;

const notPublic = new BlockList();
for (const [net, prefix] of NOT_PUBLIC_IPV4) notPublic.addSubnet(net, prefix, 'ipv4');
for (const [net, prefix] of NOT_PUBLIC_IPV6) notPublic.addSubnet(net, prefix, 'ipv6');

/**
 * True for an IP address of the public internet. An IPv6 address that carries an IPv4 one (mapped, 6to4, NAT64) is judged by that
 * (mlflow/utils/validation.py, _is_public_ip).
 */
export function isPublicAddress(address: string): boolean {
  if (isIPv4(address)) return !notPublic.check(address, 'ipv4');
  const groups = ipv6Groups(address);
  const carried = carriedIpv4(groups);
  if (carried) return !notPublic.check(carried, 'ipv4');
  return (groups[0] ?? 0) >> 13 === 1 && !notPublic.check(address, 'ipv6');
}

function carriedIpv4(groups: number[]): string | undefined {
  const text = groups.map((group) => group.toString(16)).join(':');
  if (text.startsWith('0:0:0:0:0:ffff:') || text.startsWith('64:ff9b:0:0:0:0:')) return dotted(groups[6], groups[7]);
  if (groups[0] === 0x2002) return dotted(groups[1], groups[2]);
  return undefined;
}

const dotted = (high = 0, low = 0) => [high >> 8, high & 255, low >> 8, low & 255].join('.');

/** The eight numbers of an IPv6 address; a zone is left out. */
function ipv6Groups(address: string): number[] {
  const canonical = new URL(`http://[${address.replace(/%.*$/, '')}]`).hostname.slice(1, -1);
  const [head = '', tail] = canonical.split('::');
  const numbers = (text: string) => (text === '' ? [] : text.split(':').map((group) => Number.parseInt(group, 16)));
  const [start, end] = [numbers(head), numbers(tail ?? '')];
  return [...start, ...Array<number>(8 - start.length - end.length).fill(0), ...end];
}
