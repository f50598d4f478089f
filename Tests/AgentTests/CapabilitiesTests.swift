import Glibc
import Testing

@testable import Agent

struct CapabilitiesTests {
  @Test(arguments: [
    ("CapInh:\tffffffffffffffff\nCapPrm:\t0000000000000000\nCapEff:\t0000000000000000\n", []),
    ("CapPrm:\t0000000000000000\nCapEff:\t0000000000002000\n", ["net_raw"]),
    ("CapPrm:\t0000000000001000\nCapEff:\t0000000000000000\n", ["net_admin"]),
    ("CapPrm:\t0000008000200000\nCapEff:\t00000000a80425fb\n", ["net_raw", "bpf", "sys_admin"]),
    ("CapBnd:\tffffffffffffffff\nCapAmb:\tffffffffffffffff\nNoNewPrivs:\t0\n", []),
    ("CapEff:\t\nCapPrm: zz\n", []),
  ] as [(String, [String])])
  func `what is in effect or could be taken up counts, and nothing else`(status: String, words: [String]) {
    #expect(Capabilities.words(in: Capabilities.mask(inStatus: status)) == words)
  }

  @Test func `this process's own are read`() throws {
    let content = try #require(try Files.read("/proc/self/status", limit: 1 << 16))
    let words = Capabilities.words(in: Capabilities.mask(inStatus: String(decoding: content, as: UTF8.self)))
    if geteuid() != 0 { #expect(words.isEmpty) }
    #expect(Capabilities(owned: []).held("/nonexistent").isEmpty)
  }
}
