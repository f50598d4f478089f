import Testing

@testable import Policy

@Test(
  "an address is read in every form of RFC 4291 and printed in that of RFC 5952",
  arguments: [
    ("0.0.0.0", "0.0.0.0"), ("10.0.0.5", "10.0.0.5"), ("255.255.255.255", "255.255.255.255"),
    ("::", "::"), ("::1", "::1"), ("1::", "1::"), ("fd00::5", "fd00::5"), ("FD00::A", "fd00::a"),
    ("2001:0db8:0000:0000:0000:0000:0000:0001", "2001:db8::1"),
    ("2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"),
    ("2001:0:0:1:0:0:0:1", "2001:0:0:1::1"), ("2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"),
    ("1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"),
    ("::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"), ("::ffff:10.0.0.5", "10.0.0.5"), ("::ffff:a00:5", "10.0.0.5"),
    ("64:ff9b::192.0.2.33", "64:ff9b::c000:221"), ("::1.2.3.4", "::102:304"),
    ("1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:102:304"),
  ])
func addressForms(text: String, canonical: String) throws {
  let address = try #require(IPAddress(text))
  #expect(address.description == canonical)
  #expect(IPAddress(canonical) == address)
}

@Test(
  "what two programs could read differently is no address",
  arguments: [
    "", " ", "10.0.0", "10.0.0.5.6", "10.0.0.256", "010.0.0.5", "10.0.0.05", "10.0.0.", ".0.0.1", "10.0..1",
    "0x0a.0.0.1",
    "10.0.0.5 ", " 10.0.0.5", "+1.0.0.0", "10", "167772165", "1.2.3.-4", "١٠.0.0.1",
    ":", ":::", "1:::2", "1::2::3", ":1", "1:", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1:2:3:4:5:6:7:8::",
    "::1:2:3:4:5:6:7:8",
    "12345::", "g::", "::1%eth0", "[::1]", "::1.2.3", "::1.2.3.4.5", "1.2.3.4::", "1:2:3:4:5:6:7:1.2.3.4",
    "::01.2.3.4",
    "::ffff:10.0.0.5:1", "1:2:3:4::5:6:7:8",
  ])
func noAddress(text: String) { #expect(IPAddress(text) == nil) }

@Test(
  "a block is kept with its prefix counted in 128 bits and printed as it is written",
  arguments: [
    ("10.0.0.0/8", 104, "10.0.0.0/8"), ("0.0.0.0/0", 96, "0.0.0.0/0"), ("10.0.0.5/32", 128, "10.0.0.5/32"),
    ("10.1.2.3/8", 104, "10.0.0.0/8"), ("::ffff:10.0.0.0/104", 104, "10.0.0.0/8"), ("::/0", 0, "::/0"),
    ("fd00::1/8", 8, "fd00::/8"), ("2001:db8::1/128", 128, "2001:db8::1/128"),
    ("::ffff:0:0/95", 95, "::fffe:0:0/95"),
  ])
func blockForms(text: String, prefix: Int, canonical: String) throws {
  let block = try #require(CIDR(text))
  #expect(block.prefix == prefix)
  #expect(block.description == canonical)
}

@Test(
  "what has no clear prefix is no block",
  arguments: [
    "", "/", "10.0.0.0", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/08", "10.0.0.0/+8", "10.0.0.0/-1",
    "10.0.0.0/8/8", "10.0.0/8", "::/129",
    "10.0.0.0/ 8", "10.0.0.0/8 ", "/8", "10.0.0.0/255.0.0.0", "fd00::%1/64",
  ])
func noBlock(text: String) { #expect(CIDR(text) == nil) }

@Test("an IPv6 block is told from an IPv4 one, also where it holds all of IPv4")
func families() throws {
  #expect(try #require(CIDR("0.0.0.0/0")).isV4)
  #expect(try #require(CIDR("::ffff:0:0/96")).isV4)
  #expect(try !#require(CIDR("::/0")).isV4)
  #expect(try !#require(CIDR("fd00::/8")).isV4)
}

@Test("an endpoint is a name or an address")
func endpoints() throws {
  #expect(try Party("shop/web") == .endpoint(Name("shop", "web")))
  #expect(try Party("ip:10.0.0.5") == .address(IPAddress(v4: 0x0a00_0005)))
  #expect(try Party("ip:fd00::5") == .address(try #require(IPAddress("fd00::5"))))
}

@Test(
  "what is no endpoint is refused with what to write",
  arguments: [
    ("web", "NAMESPACE/NAME"), ("10.0.0.5", "ip:10.0.0.5"), ("ip:x", "IPv4 or IPv6"),
    ("a/b/c", "NAMESPACE/NAME"),
    ("Shop/web", "DNS label"), ("shop/", "DNS subdomain"), ("", "NAMESPACE/NAME"), ("fd00::5", "ip:fd00::5"),
  ])
func noEndpoint(text: String, says: String) {
  let error = #expect(throws: TextError.self) { try Party(text) }
  #expect(error?.description.contains(says) == true, "\(error?.description ?? "")")
}

@Test(
  "a port is a number and a protocol",
  arguments: [
    ("80/TCP", TransportProtocol.tcp, 80), ("53/udp", .udp, 53), ("65535/SCTP", .sctp, 65535),
    ("8/ICMP", .icmp, 8), ("0/ICMP", .icmp, 0),
  ])
func ports(text: String, kind: TransportProtocol, number: Int) throws {
  let port = try TransportProtocol.port(text)
  #expect(port.protocol == kind)
  #expect(Int(port.port) == number)
}

@Test(
  "what is no port is refused",
  arguments: [
    "80", "TCP", "/TCP", "80/", "0/TCP", "65536/TCP", "256/ICMP", "-1/TCP", "080/TCP", "80/HTTP", "80/TCP/x",
    "http/TCP", "",
  ])
func noPort(text: String) { #expect(throws: TextError.self) { try TransportProtocol.port(text) } }
