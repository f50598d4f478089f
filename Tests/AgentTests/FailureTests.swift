import Datapath
import Testing

@testable import Agent

@Suite struct FailureTests {
  /// As Linux 6.1 writes it.
  @Test func `of what the verifier says its verdict is told, not the listing and what it counted`() {
    let error = DatapathError(
      step: "load", subject: "program connect6", code: 13, advice: "boot another",
      log: """
        54: safe
        combined stack size of 3 calls is 544. Too large
        verification time 1020504 usec
        stack depth 344+16+72
        processed 11073 insns (limit 1000000) max_states_per_insn 8

        """)
    #expect(
      Failure(error).description
        == "load program connect6: EACCES (boot another): combined stack size of 3 calls is 544. Too large")
    #expect(Failure(DatapathError(step: "load", subject: "x", code: 1, advice: "so")).description == "load x: EPERM (so)")
  }
}
