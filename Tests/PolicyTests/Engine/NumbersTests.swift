import CDatapath
import Policy
import Testing

struct NumbersTests {
  private func identity(_ number: Int, _ numbers: inout Numbers) -> UInt32 {
    numbers.identity(namespace: "shop", labels: ["n": "\(number)"], serviceAccount: "default")
  }

  private func name(_ number: Int) -> String { Numbers.identity("shop", ["n": "\(number)"], "default") }

  @Test func `a name keeps its number, and a released number rests while there are fresh ones`() {
    var numbers = Numbers()
    #expect(identity(1, &numbers) == 1)
    #expect(identity(2, &numbers) == 2)
    #expect(identity(1, &numbers) == 1)
    numbers.release([name(1)], from: .identities)
    numbers.reuse(.identities, except: [])
    #expect(identity(1, &numbers) == 3)
    #expect(identity(2, &numbers) == 2)
  }

  @Test func `where numbers are used up, one that has rested is given away, and one that rests is not`() {
    let limit = 1 << Int(WEIR_TARGET_BITS) - 1
    var numbers = Numbers()
    for number in 1...limit { _ = numbers.target(Name("shop", "w\(number)")) }
    var full = numbers
    #expect(full.target(Name("shop", "one more")) == UInt32(limit + 1), "which the compiler refuses")
    numbers.release(["shop/w5", "shop/w7", "shop/w9"], from: .targets)
    numbers.reuse(.targets, except: [7])
    #expect(numbers.target(Name("shop", "x")) == 5)
    #expect(numbers.target(Name("shop", "y")) == 9)
    #expect(numbers.target(Name("shop", "z")) == UInt32(limit + 1))
    #expect(numbers.targets["shop/w5"] == nil)
  }

  @Test func `the history makes the same numbers again`() {
    var numbers = Numbers()
    for number in 1...9 { _ = identity(number, &numbers) }
    numbers.release([name(9), name(4)], from: .identities)
    var names: [UInt32: String] = [:]
    var last: UInt32 = 0
    for change in numbers.history {
      switch change {
      case .given(_, let number, let name): names[number] = name
      case .released(_, let number): last = number
      }
    }
    var again = Numbers([.identities: names], last: [.identities: last])
    #expect(again == numbers)
    #expect(identity(4, &again) == 10)
  }
}
