import CDatapath

extension Command {
  public static let version = Command(
    name: "version", summary: "print the version", usage: "[-o json]", options: [format]
  ) { arguments throws(Failure) in
    struct Answer: Codable {
      var version: String
      var layout: Int32
    }
    let asJSON = try arguments.wantsJSON()
    if let extra = arguments.positionals.first { throw Failure("\(extra): takes no arguments") }
    let answer = Answer(version: Version.text, layout: WEIR_LAYOUT)
    Output.standard.write(
      asJSON ? JSON.text(answer, pretty: true) + "\n" : "weir \(answer.version) (layout \(answer.layout))\n")
    return 0
  }
}
