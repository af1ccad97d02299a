// SPDX-License-Identifier: Apache-2.0

// What one writes in Go today to read a SIEM feed: net/http with its transparent gzip, bufio, encoding/json, a goroutine
// for each configId. The peers' bench compiles it, and has Yaegi interpret the same text. It is no part of the product.
//
// Three levels of parsing: "lines" counts line ends in large blocks; "last" keeps every line and parses the page's last
// one; "full" decodes every event into a map.
package main

import (
	"bufio"
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"
)

const (
	lineBytesMax  = 16 << 20
	blockBytes    = 64 << 10
	tailBytes     = 4096 // a page's last line is far shorter
	stampLayout   = "20060102T15:04:05-0700"
	answerSeconds = 150
)

type credentials struct {
	clientSecret string
	clientToken  string
	accessToken  string
}

type pageContext struct {
	Total  int    `json:"total"`
	Offset string `json:"offset"`
}

type reader struct {
	client      *http.Client
	credentials credentials
	base        *url.URL
	limit       int
	level       string
	output      *bufio.Writer // nil: events are only counted
}

func readCredentials(path string) (credentials, error) {
	var found credentials
	text, err := os.ReadFile(path)
	if err != nil {
		return found, err
	}
	for _, line := range strings.Split(string(text), "\n") {
		parts := strings.SplitN(line, "=", 2)
		if len(parts) != 2 {
			continue
		}
		value := strings.TrimSpace(parts[1])
		switch strings.TrimSpace(parts[0]) {
		case "client_secret":
			found.clientSecret = value
		case "client_token":
			found.clientToken = value
		case "access_token":
			found.accessToken = value
		}
	}
	return found, nil
}

func mac(key, text string) string {
	hash := hmac.New(sha256.New, []byte(key))
	hash.Write([]byte(text))
	return base64.StdEncoding.EncodeToString(hash.Sum(nil))
}

func authorization(who credentials, target *url.URL) (string, error) {
	nonce := make([]byte, 16)
	if _, err := rand.Read(nonce); err != nil {
		return "", err
	}
	stamp := time.Now().UTC().Format(stampLayout)
	head := "EG1-HMAC-SHA256 client_token=" + who.clientToken + ";access_token=" + who.accessToken +
		";timestamp=" + stamp + ";nonce=" + hex.EncodeToString(nonce) + ";"
	data := strings.Join([]string{"GET", target.Scheme, target.Host, target.RequestURI(), "", "", head}, "\t")
	return head + "signature=" + mac(mac(who.clientSecret, stamp), data), nil
}

func newClient(caFile string) (*http.Client, error) {
	pem, err := os.ReadFile(caFile)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s holds no certificate", caFile)
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, MaxIdleConnsPerHost: 64}
	return &http.Client{Transport: transport, Timeout: answerSeconds * time.Second}, nil
}

func (r *reader) emit(line []byte) error {
	if r.output == nil {
		return nil
	}
	if _, err := r.output.Write(line); err != nil {
		return err
	}
	return r.output.WriteByte('\n')
}

func (r *reader) emitText(line string) error {
	if r.output == nil {
		return nil
	}
	if _, err := r.output.WriteString(line); err != nil {
		return err
	}
	return r.output.WriteByte('\n')
}

// Counts line ends only. The last of them is the context's.
func (r *reader) countLines(body io.Reader) (int, pageContext, error) {
	var context pageContext
	block := make([]byte, blockBytes)
	tail := make([]byte, 0, 2*tailBytes)
	lines := 0
	for {
		n, err := body.Read(block)
		lines += bytes.Count(block[:n], []byte{'\n'})
		from := 0
		if n > tailBytes {
			from = n - tailBytes
		}
		tail = append(tail, block[from:n]...)
		if len(tail) > tailBytes {
			tail = append(tail[:0], tail[len(tail)-tailBytes:]...)
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return 0, context, err
		}
	}
	last := bytes.TrimRight(tail, "\n")
	last = last[bytes.LastIndexByte(last, '\n')+1:]
	return lines - 1, context, json.Unmarshal(last, &context)
}

// Keeps each line as a string of its own, as one hands it on, and parses the last one.
func (r *reader) keepLines(body io.Reader) (int, pageContext, error) {
	var context pageContext
	scanner := bufio.NewScanner(body)
	scanner.Buffer(make([]byte, blockBytes), lineBytesMax)
	events := 0
	last := ""
	for scanner.Scan() {
		if last != "" {
			if err := r.emitText(last); err != nil {
				return 0, context, err
			}
			events++
		}
		last = scanner.Text()
	}
	if err := scanner.Err(); err != nil {
		return 0, context, err
	}
	return events, context, json.Unmarshal([]byte(last), &context)
}

// Decodes every line.
func (r *reader) parseLines(body io.Reader) (int, pageContext, error) {
	var context pageContext
	scanner := bufio.NewScanner(body)
	scanner.Buffer(make([]byte, blockBytes), lineBytesMax)
	events := 0
	for scanner.Scan() {
		line := scanner.Bytes()
		var event map[string]interface{}
		if err := json.Unmarshal(line, &event); err != nil {
			return 0, context, err
		}
		if event["attackData"] == nil && event["offset"] != nil {
			if err := json.Unmarshal(line, &context); err != nil {
				return 0, context, err
			}
			continue
		}
		if err := r.emit(line); err != nil {
			return 0, context, err
		}
		events++
	}
	return events, context, scanner.Err()
}

func (r *reader) readBody(body io.Reader) (int, pageContext, error) {
	switch r.level {
	case "lines":
		return r.countLines(body)
	case "last":
		return r.keepLines(body)
	}
	return r.parseLines(body)
}

func (r *reader) page(configID, query string) (int, string, error) {
	target := *r.base
	target.Path = r.base.Path + "/configs/" + configID
	target.RawQuery = query + "&limit=" + strconv.Itoa(r.limit)
	request, err := http.NewRequest("GET", target.String(), nil)
	if err != nil {
		return 0, "", err
	}
	signature, err := authorization(r.credentials, request.URL)
	if err != nil {
		return 0, "", err
	}
	request.Header.Set("Authorization", signature)
	answer, err := r.client.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(answer.Body, tailBytes))
		return 0, "", fmt.Errorf("configId %s: %s: %s", configID, answer.Status, text)
	}
	events, context, err := r.readBody(answer.Body)
	if err != nil {
		return 0, "", fmt.Errorf("configId %s: %v", configID, err)
	}
	if context.Offset == "" || context.Total != events {
		return 0, "", fmt.Errorf("configId %s: %d events, the page says %d", configID, events, context.Total)
	}
	return events, context.Offset, nil
}

func (r *reader) stream(configID string, from int64, pages int) (int, error) {
	query := "from=" + strconv.FormatInt(from, 10)
	events := 0
	for i := 0; i < pages; i++ {
		count, offset, err := r.page(configID, query)
		if err != nil {
			return events, err
		}
		events += count
		query = "offset=" + url.QueryEscape(offset)
	}
	return events, nil
}

type outcome struct {
	events int
	err    error
}

func run(r *reader, configIDs []string, from int64, pages int) (int, error) {
	outcomes := make(chan outcome, len(configIDs))
	for _, configID := range configIDs {
		go func(id string) {
			events, err := r.stream(id, from, pages)
			outcomes <- outcome{events, err}
		}(configID)
	}
	events := 0
	var failed error
	for range configIDs {
		one := <-outcomes
		events += one.events
		if one.err != nil {
			failed = one.err
		}
	}
	return events, failed
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "client.go:", err)
		os.Exit(1)
	}
}

func main() {
	address := flag.String("url", "", "https://HOST/siem/v1")
	caFile := flag.String("ca-file", "", "trust these CAs")
	edgerc := flag.String("edgerc", "", "credentials")
	configIDs := flag.String("config-id", "1", "configIds, comma-separated: a goroutine each")
	limit := flag.Int("limit", 60000, "events a page")
	pages := flag.Int("pages", 1, "pages of each stream")
	from := flag.Int64("from", 0, "start here, epoch seconds")
	level := flag.String("level", "last", "lines, last or full")
	printing := flag.Bool("print", false, "write the events to stdout, the figures to stderr")
	flag.Parse()

	base, err := url.Parse(*address)
	fail(err)
	who, err := readCredentials(*edgerc)
	fail(err)
	client, err := newClient(*caFile)
	fail(err)
	r := &reader{client: client, credentials: who, base: base, limit: *limit, level: *level}
	figures := os.Stdout
	if *printing {
		r.output = bufio.NewWriter(os.Stdout)
		figures = os.Stderr
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	events, err := run(r, strings.Split(*configIDs, ","), *from, *pages)
	fail(err)
	runtime.ReadMemStats(&after)
	if r.output != nil {
		fail(r.output.Flush())
	}
	fmt.Fprintf(figures, "{\"events\": %d, \"allocated_bytes\": %d}\n", events, after.TotalAlloc-before.TotalAlloc)
}
