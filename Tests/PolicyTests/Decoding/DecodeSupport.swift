import Policy
import Testing

/// The problems of one text, each as `line:column field`, in order.
func places(_ text: String) -> [String] {
  Reading(texts: [("t.yaml", text)]).problems.map { "\($0.line):\($0.column) \($0.field)" }
}

/// The first problem's message; empty where there is none.
func message(_ text: String) -> String { Reading(texts: [("t.yaml", text)]).problems.first?.message ?? "" }

/// A NetworkPolicy with this spec, which begins on line 4, indented by two.
func networkPolicy(_ spec: String) -> String {
  "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: p, namespace: shop}\nspec:\n"
    + indent(spec)
}

func authorizationPolicy(_ spec: String) -> String {
  "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: p, namespace: shop}\nspec:\n"
    + indent(spec)
}

/// Its spec, too, begins on line 4.
func ciliumPolicy(_ spec: String) -> String {
  "apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {name: p, namespace: shop}\nspec:\n"
    + indent(spec)
}

func clusterwidePolicy(_ spec: String) -> String {
  "apiVersion: cilium.io/v2\nkind: CiliumClusterwideNetworkPolicy\nmetadata: {name: p.q}\nspec:\n"
    + indent(spec)
}

func workload(_ spec: String, name: String = "web") -> String {
  "apiVersion: weir.dev/v1alpha1\nkind: Workload\nmetadata: {name: \(name), namespace: shop}\nspec:\n"
    + indent(spec)
}

func proxy(_ spec: String) -> String {
  "apiVersion: weir.dev/v1alpha1\nkind: Proxy\nmetadata: {name: envoy, namespace: shop}\nspec:\n"
    + indent(spec)
}

func pod(_ rest: String, name: String = "web") -> String {
  "apiVersion: v1\nkind: Pod\nmetadata: {name: \(name), namespace: shop}\n" + rest + "\n"
}

private func indent(_ text: String) -> String {
  text.split(separator: "\n", omittingEmptySubsequences: false).map { "  " + $0 + "\n" }.joined()
}

/// One row of a table of refusals.
struct Refusal: Sendable, CustomTestStringConvertible {
  var sentence: String
  var text: String
  /// `line:column field` of each problem.
  var places: [String]
  /// A part of the first problem's message.
  var says: String

  init(_ sentence: String, _ text: String, _ places: String..., says: String) {
    self.sentence = sentence
    self.text = text
    self.places = places
    self.says = says
  }

  var testDescription: String { sentence }
}
