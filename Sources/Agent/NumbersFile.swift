import Policy

/// `numbers.json` in the run directory: what the numbers in the kernel mean. Saved before a switch uses new
/// ones.
struct NumbersFile {
  static let limit = 256 << 20

  var path: String

  /// nil where there is none.
  func load() throws(Failure) -> Numbers? {
    let content: [UInt8]?
    do { content = try Files.read(path, limit: NumbersFile.limit) } catch { throw Failure(error) }
    guard let content else { return nil }
    guard let numbers = JSON.decode(Numbers.self, content) else {
      throw Failure(
        "\(path): is not what an agent wrote; run `weir detach`, remove the file and start again")
    }
    return numbers
  }

  /// On the disk when it returns: a number that the kernel knows must never be given away a second time.
  func save(_ numbers: Numbers) throws(Failure) {
    do {
      try Files.replace(path, with: Array(JSON.text(numbers).utf8), durable: true)
    } catch {
      throw Failure(error)
    }
  }
}
