import Lab

/// A scrape, read as strictly as the text format allows: every sample belongs to a family announced by HELP
/// and TYPE, families and series stand once, histograms are cumulative and end with +Inf.
struct Scrape {
  struct Sample {
    var name: String
    var labels: [String: String]
    var value: Double
  }

  private(set) var samples: [Sample] = []
  private(set) var types: [String: String] = [:]

  init(_ text: String) throws {
    guard text.hasSuffix("\n") else { throw Scrape.wrong("no newline at the end") }
    var helped: String?
    var family = ""
    var series: Set<String> = []
    for line in text.dropLast().split(separator: "\n", omittingEmptySubsequences: false) {
      let words = line.split(separator: " ", maxSplits: 3)
      if line.hasPrefix("# HELP "), words.count == 4 {
        helped = String(words[2])
      } else if line.hasPrefix("# TYPE "), words.count == 4 {
        family = String(words[2])
        guard helped == family, types[family] == nil, ["counter", "gauge", "histogram"].contains(words[3])
        else { throw Scrape.wrong(line) }
        types[family] = String(words[3])
      } else {
        let (sample, name) = try Scrape.sample(line)
        let isPart =
          types[family] == "histogram"
          && ["_bucket", "_sum", "_count"].contains { family + $0 == sample.name }
        guard sample.name == family && types[family] != "histogram" || isPart, series.insert(name).inserted
        else { throw Scrape.wrong(line) }
        samples.append(sample)
      }
    }
    for (family, type) in types where type == "histogram" { try checkHistogram(family) }
  }

  /// The value of the one series that has these labels, and perhaps more; nil where there is none.
  func value(_ name: String, _ labels: [String: String] = [:]) throws -> Double? {
    let found = all(name, labels)
    guard found.count < 2 else { throw Scrape.wrong("\(found.count) series of \(name) \(labels)") }
    return found.first?.value
  }

  func all(_ name: String, _ labels: [String: String] = [:]) -> [Sample] {
    samples.filter { sample in
      sample.name == name && labels.allSatisfy { sample.labels[$0.key] == $0.value }
    }
  }

  private func checkHistogram(_ family: String) throws {
    for count in all(family + "_count") {
      let buckets = all(family + "_bucket", count.labels)
      let limits = try buckets.map { bucket in
        guard let limit = bucket.labels["le"].flatMap({ $0 == "+Inf" ? Double.infinity : Double($0) }) else {
          throw Scrape.wrong("le of \(bucket)")
        }
        return limit
      }
      let values = buckets.map(\.value)
      guard limits == limits.sorted(), Set(limits).count == limits.count, limits.last == .infinity,
        values == values.sorted(), values.last == count.value, all(family + "_sum", count.labels).count == 1
      else { throw Scrape.wrong("histogram \(family) \(count.labels): \(values)") }
    }
  }

  /// The sample, and the series' name and labels as they stand.
  private static func sample(_ line: Substring) throws -> (Sample, String) {
    var rest = line
    let name = rest.prefix { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "_" || $0 == ":") }
    rest = rest.dropFirst(name.count)
    guard let first = name.first, !first.isNumber else { throw wrong(line) }
    var labels: [String: String] = [:]
    if rest.first == "{" {
      repeat {
        rest = rest.dropFirst()
        let key = rest.prefix { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "_") }
        rest = rest.dropFirst(key.count)
        guard rest.hasPrefix("=\""), !key.isEmpty, labels[String(key)] == nil else { throw wrong(line) }
        rest = rest.dropFirst(2)
        labels[String(key)] = try quoted(&rest, line)
      } while rest.first == ","
      guard rest.first == "}" else { throw wrong(line) }
      rest = rest.dropFirst()
    }
    let series = String(line[..<rest.startIndex])
    guard rest.first == " ", let value = Double(rest.dropFirst()) else { throw wrong(line) }
    return (Sample(name: String(name), labels: labels, value: value), series)
  }

  /// Up to the closing quote, which goes too.
  private static func quoted(_ rest: inout Substring, _ line: Substring) throws -> String {
    var text = ""
    while let character = rest.popFirst() {
      if character == "\"" { return text }
      guard character == "\\" else {
        text.append(character)
        continue
      }
      switch rest.popFirst() {
      case "\\": text.append("\\")
      case "\"": text.append("\"")
      case "n": text.append("\n")
      default: throw wrong(line)
      }
    }
    throw wrong(line)
  }

  private static func wrong(_ what: some StringProtocol) -> LabError {
    LabError("not the text format: \(what)", code: 22)
  }
}
