/// A finding before its witness was checked.
struct Draft {
  /// What the naive evaluator has to confirm.
  enum Claim {
    /// The flow is judged the same with and without the rule.
    case noEffect(Flow, Request?, of: RuleReference)
    /// The flow's verdict changes when the rule is taken away.
    case effect(Flow, Request?, of: RuleReference)
    /// Judged otherwise by the set without the one policy than by the set without the other.
    case tie(Flow, Request?, RuleReference, RuleReference)
    /// Judged otherwise with `joined` the other way.
    case joined(Flow, Request?)
    /// Sent to a proxy that is not there.
    case unproxied(Flow)
    /// This is the verdict, with the rule.
    case verdict(Flow, Request?, Verdict)
    /// Nobody is like this.
    case nobody(sought: String, among: Int, found: Int)
    /// The file says so itself.
    case written
  }

  var id: Conflict
  var severity: Severity
  var message: String
  var policies: [Finding.Policy]
  var claim: Claim
  var fix: String

  init(
    _ id: Conflict, _ policies: [Finding.Policy], _ message: String, _ claim: Claim,
    severity: Severity? = nil,
    fix: String
  ) {
    self.id = id
    self.severity = severity ?? id.severity
    self.policies = policies
    self.message = message
    self.claim = claim
    self.fix = fix
  }
}
