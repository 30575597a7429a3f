//! The HTML around the pictures and tables.

use std::fmt::Write;

use crate::plotting::{Chart, STYLE};

/// A page that grows from top to bottom.
pub(super) struct Page {
    title: String,
    body: String,
    sections: Vec<(String, String)>,
    pictures: usize,
}

impl Page {
    pub fn new(title: &str) -> Self {
        Self {
            title: title.into(),
            body: String::new(),
            sections: Vec::new(),
            pictures: 0,
        }
    }

    /// Start a section with a place in the list of contents.
    pub fn section(&mut self, id: &str, title: &str) {
        self.sections.push((id.into(), title.into()));
        // Writing to a string cannot fail.
        let _ = writeln!(self.body, "<h2 id=\"{id}\">{}</h2>", escape(title));
    }

    pub fn paragraph(&mut self, text: &str) {
        let _ = writeln!(self.body, "<p>{}</p>", escape(text));
    }

    /// A picture with a link to its numbers.
    pub fn picture(&mut self, chart: &dyn Chart, links: &[(String, String)]) {
        self.pictures += 1;
        let links: Vec<String> = links
            .iter()
            .map(|(href, words)| format!("<a href=\"{}\">{}</a>", escape(href), escape(words)))
            .collect();
        let _ = writeln!(
            self.body,
            "<figure><div class=\"scroll\" tabindex=\"0\">{}</div><figcaption>{}</figcaption></figure>",
            chart.scene().to_inline_svg(),
            links.join(" · ")
        );
    }

    /// A table; the first column holds names, the others numbers.
    pub fn table(&mut self, columns: &[&str], rows: &[Vec<String>]) {
        self.body
            .push_str("<div class=\"scroll\" tabindex=\"0\"><table><thead><tr>");
        for column in columns {
            let _ = write!(self.body, "<th scope=\"col\">{}</th>", escape(column));
        }
        self.body.push_str("</tr></thead><tbody>\n");
        for row in rows {
            self.body.push_str("<tr>");
            for (i, cell) in row.iter().enumerate() {
                let _ = match i {
                    0 => write!(self.body, "<th scope=\"row\">{}</th>", escape(cell)),
                    _ => write!(self.body, "<td>{}</td>", escape(cell)),
                };
            }
            self.body.push_str("</tr>\n");
        }
        self.body.push_str("</tbody></table></div>\n");
    }

    /// Something long that opens on demand.
    pub fn details(&mut self, title: &str, text: &str) {
        let _ = writeln!(
            self.body,
            "<details><summary>{}</summary><pre tabindex=\"0\">{}</pre></details>",
            escape(title),
            escape(text)
        );
    }

    /// The number of pictures so far.
    pub fn pictures(&self) -> usize {
        self.pictures
    }

    /// The whole page.
    pub fn finish(&self) -> String {
        let contents: String = self
            .sections
            .iter()
            .map(|(id, title)| format!("<li><a href=\"#{id}\">{}</a></li>", escape(title)))
            .collect();
        format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <title>{title}</title>\n<style>{page}{STYLE}</style>\n</head>\n<body>\n\
             <header><h1>{title}</h1></header>\n<nav aria-label=\"Contents\"><ul>{contents}</ul></nav>\n\
             <main>\n{body}</main>\n</body>\n</html>\n",
            title = escape(&self.title),
            page = include_str!("page.css"),
            body = self.body,
        )
    }
}

pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
