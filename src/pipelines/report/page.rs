//! The HTML around the pictures and tables.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use super::results::Table;
use super::words::{Language, Words};
use crate::plotting::{Chart, STYLE};

/// Where the tables lie, as the page links to them.
pub(super) struct Links {
    results: PathBuf,
    /// From the page's folder to the folder of results.
    base: String,
}

impl Links {
    /// The links of a page in the folder `page`, to tables in `results`.
    pub(crate) fn new(results: &Path, page: Option<&Path>) -> Self {
        let page = page.filter(|p| !p.as_os_str().is_empty());
        let base = match page.map(|p| results.strip_prefix(p)) {
            Some(Ok(inside)) if inside.as_os_str().is_empty() => String::new(),
            Some(Ok(inside)) => format!("{}/", inside.display()),
            None if results.is_relative() => format!("{}/", results.display()),
            _ => match std::path::absolute(results) {
                Ok(path) => format!("file://{}/", path.display()),
                Err(_) => format!("{}/", results.display()),
            },
        };
        Self {
            results: results.to_path_buf(),
            base,
        }
    }

    /// The address of a table and its name.
    fn to(&self, table: &Path) -> (String, String) {
        let file = table.strip_prefix(&self.results).unwrap_or(table);
        let name = file.display().to_string();
        (format!("{}{name}", self.base), name)
    }
}

/// A page that grows from top to bottom.
pub(super) struct Page {
    language: Language,
    links: Links,
    body: String,
    sections: Vec<(String, String)>,
    pictures: usize,
}

impl Page {
    pub(crate) fn new(language: Language, links: Links) -> Self {
        Self {
            language,
            links,
            body: String::new(),
            sections: Vec::new(),
            pictures: 0,
        }
    }

    /// The language of the page.
    pub(crate) fn language(&self) -> Language {
        self.language
    }

    /// The words of the page's language.
    pub(crate) fn words(&self) -> &'static Words {
        self.language.words()
    }

    /// Start a section with a place in the list of contents.
    pub(crate) fn section(&mut self, id: &str, title: &str) {
        self.sections.push((id.into(), title.into()));
        // Writing to a string cannot fail.
        let _ = writeln!(self.body, "<h2 id=\"{id}\">{}</h2>", escape(title));
    }

    /// A heading inside a section.
    pub(crate) fn heading(&mut self, title: &str) {
        let _ = writeln!(self.body, "<h3>{}</h3>", escape(title));
    }

    pub(crate) fn paragraph(&mut self, text: &str) {
        let _ = writeln!(self.body, "<p>{}</p>", escape(text));
    }

    /// A list under a few words.
    pub(crate) fn list(&mut self, title: &str, items: &[String]) {
        let items: String = items
            .iter()
            .map(|item| format!("<li>{}</li>", escape(item)))
            .collect();
        let _ = writeln!(
            self.body,
            "<p class=\"lead\">{}</p><ul class=\"lead\">{items}</ul>",
            escape(title)
        );
    }

    /// Lines as they are.
    pub(crate) fn preformatted(&mut self, text: &str) {
        let _ = writeln!(self.body, "<pre tabindex=\"0\">{}</pre>", escape(text));
    }

    /// A paragraph that stands out.
    pub(crate) fn note(&mut self, text: &str) {
        let _ = writeln!(self.body, "<p class=\"note\">{}</p>", escape(text));
    }

    /// A box of figures: a title and lines of name, value and remark.
    pub(crate) fn cards(&mut self, cards: &[(String, Vec<[String; 3]>)]) {
        self.body.push_str("<div class=\"cards\">");
        for (title, lines) in cards {
            let _ = write!(
                self.body,
                "<section class=\"card\"><h3>{}</h3><dl>",
                escape(title)
            );
            for [name, value, remark] in lines {
                let _ = write!(
                    self.body,
                    "<div><dt>{}</dt><dd>{}<small>{}</small></dd></div>",
                    escape(name),
                    escape(value),
                    escape(remark)
                );
            }
            self.body.push_str("</dl></section>");
        }
        self.body.push_str("</div>\n");
    }

    /// A picture with links to its tables.
    pub(crate) fn picture(&mut self, chart: &dyn Chart, tables: &[&Path]) {
        self.pictures += 1;
        let links = self.anchors(tables);
        let scene = match self.language {
            Language::En => chart.scene(),
            Language::Fr => chart.scene().with_decimal_comma(),
        };
        let _ = writeln!(
            self.body,
            "<figure><div class=\"scroll\">{}</div><figcaption>{}</figcaption></figure>",
            scene.to_inline_svg(),
            links
        );
    }

    /// Links to the tables that rows above come from.
    pub(crate) fn tables(&mut self, tables: &[&Table]) {
        let paths: Vec<&Path> = tables.iter().map(|t| t.path.as_path()).collect();
        let links = self.anchors(&paths);
        let _ = writeln!(self.body, "<p class=\"links\">{links}</p>");
    }

    fn anchors(&self, tables: &[&Path]) -> String {
        let link = |table: &&Path| {
            let (href, name) = self.links.to(table);
            format!("<a href=\"{}\">{}</a>", escape(&href), escape(&name))
        };
        tables.iter().map(link).collect::<Vec<_>>().join(" · ")
    }

    /// A picture of one table.
    pub(crate) fn picture_of(&mut self, chart: &dyn Chart, table: &Table) {
        self.picture(chart, &[&table.path]);
    }

    /// A table; the first column holds names, the others numbers.
    pub(crate) fn table(&mut self, columns: &[&str], rows: &[Vec<String>]) {
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

    /// A long table that opens on demand.
    pub(crate) fn folded_table(&mut self, title: &str, columns: &[&str], rows: &[Vec<String>]) {
        let _ = write!(self.body, "<details><summary>{}</summary>", escape(title));
        self.table(columns, rows);
        self.body.push_str("</details>\n");
    }

    /// Something long that opens on demand.
    pub(crate) fn details(&mut self, title: &str, text: &str) {
        let _ = writeln!(
            self.body,
            "<details><summary>{}</summary><pre tabindex=\"0\">{}</pre></details>",
            escape(title),
            escape(text)
        );
    }

    /// The number of pictures so far.
    pub(crate) fn pictures(&self) -> usize {
        self.pictures
    }

    /// The whole page.
    pub(crate) fn finish(&self) -> String {
        let words = self.words();
        let contents: String = self
            .sections
            .iter()
            .map(|(id, title)| format!("<li><a href=\"#{id}\">{}</a></li>", escape(title)))
            .collect();
        format!(
            "<!DOCTYPE html>\n<html lang=\"{code}\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <title>{title}</title>\n<style>{page}{STYLE}</style>\n</head>\n<body>\n\
             <header><h1>{title}</h1><button id=\"theme\" type=\"button\">{theme}</button></header>\n\
             <nav aria-label=\"{contents_title}\"><ul>{contents}</ul></nav>\n\
             <main>\n{body}</main>\n<div id=\"hover\" role=\"status\" aria-live=\"polite\" hidden></div>\n\
             <script>{script}</script>\n</body>\n</html>\n",
            code = words.code,
            title = escape(words.title),
            theme = escape(words.theme),
            contents_title = escape(words.contents),
            page = include_str!("page.css"),
            body = self.body,
            script = include_str!("page.js"),
        )
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
