import Glibc
import Testing

@testable import Agent

struct EventLoopTests {
  @Test func aReadableDescriptorIsServedUntilItIsForgotten() throws {
    let loop = try EventLoop()
    var ends: [Int32] = [0, 0]
    #expect(pipe(&ends) == 0)
    defer { for end in ends { close(end) } }
    var served = 0
    try loop.onReadable(ends[0]) { served += 1 }
    loop.turn(maximumMilliseconds: 0)
    #expect(served == 0)
    #expect(write(ends[1], "x", 1) == 1)
    loop.turn(maximumMilliseconds: 1000)
    #expect(served == 1)
    loop.forget(ends[0])
    loop.turn(maximumMilliseconds: 0)
    #expect(served == 1)
  }

  @Test func deadlinesComeInOrderAndNotBeforeTheirTime() throws {
    let loop = try EventLoop()
    var order: [Int] = []
    let began = Clock.monotonic()
    loop.after(milliseconds: 20) {
      order.append(2)
      loop.stop()
    }
    loop.after(milliseconds: 5) { order.append(1) }
    let cancelled = loop.after(milliseconds: 1) { order.append(9) }
    loop.cancel(cancelled)
    loop.run()
    #expect(order == [1, 2])
    #expect(Clock.monotonic() - began >= 20_000_000)
  }

  @Test func aDeadlineMayCancelOneThatIsDueWithIt() throws {
    let loop = try EventLoop()
    var second: EventLoop.Deadline?
    var called = 0
    loop.after(milliseconds: 0) {
      called += 1
      if let second { loop.cancel(second) }
    }
    second = loop.after(milliseconds: 0) { called += 1 }
    Clock.sleep(milliseconds: 1)
    loop.turn(maximumMilliseconds: 0)
    loop.turn(maximumMilliseconds: 0)
    #expect(called == 1)
  }

  @Test func whatRepeatsIsCalledAgain() throws {
    let loop = try EventLoop()
    var count = 0
    loop.every(milliseconds: 1) {
      count += 1
      if count == 3 { loop.stop() }
    }
    loop.run()
    #expect(count == 3)
  }
}
