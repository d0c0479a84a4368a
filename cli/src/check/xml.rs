//! Reading IAM's XML. Pure.

use roxmltree::{Document, Node};

/// The texts of all elements of this name that have no elements in them. Empty if it is not XML.
pub fn texts(xml: &str, name: &str) -> Vec<String> {
    let Ok(document) = Document::parse(xml) else {
        return Vec::new();
    };
    let nodes = document
        .descendants()
        .filter(|node| node.tag_name().name() == name);
    let leaves = nodes.filter(|node| !node.children().any(|child| child.is_element()));
    leaves
        .filter_map(|node| node.text())
        .map(str::to_owned)
        .collect()
}

/// The child element of this name.
pub fn child<'a, 'input>(node: &Node<'a, 'input>, name: &str) -> Option<Node<'a, 'input>> {
    node.children()
        .find(|child| child.tag_name().name() == name)
}

/// The text of the child element of this name.
pub fn text(node: &Node<'_, '_>, name: &str) -> Option<String> {
    child(node, name)?.text().map(str::to_owned)
}

/// IAM percent-encodes policy documents.
pub fn percent_decoded(text: &str) -> String {
    let pair = format!("p={}", text.replace('+', "%2B"));
    let mut pairs = url::form_urlencoded::parse(pair.as_bytes());
    pairs
        .next()
        .map(|(_, value)| value.into_owned())
        .unwrap_or_default()
}
