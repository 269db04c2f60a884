// Asks a served model over REST, with Go 1.18 or newer and the standard library.
//
//	go run ask.go http://localhost:8501 tagger "Anna lives in Zürich."
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"time"
)

// Entities are the outputs of a token classifier for each text.
type Entities struct {
	Count  []int      `json:"entity_count"`
	Labels [][]string `json:"labels"`
	Starts [][]int    `json:"starts"`
	Ends   [][]int    `json:"ends"`
}

var client = &http.Client{Timeout: 30 * time.Second}

// predict sends inputs to a signature and decodes its outputs.
func predict(address, model, signature string, inputs map[string]any, outputs any) error {
	body, err := json.Marshal(map[string]any{"signature_name": signature, "inputs": inputs})
	if err != nil {
		return err
	}
	reply, err := client.Post(address+"/v1/models/"+url.PathEscape(model)+":predict", "application/json", bytes.NewReader(body))
	if err != nil {
		return err
	}
	defer reply.Body.Close()
	text, err := io.ReadAll(reply.Body)
	if err != nil {
		return err
	}
	if reply.StatusCode != http.StatusOK {
		return fmt.Errorf("HTTP %d: %s", reply.StatusCode, text)
	}
	return json.Unmarshal(text, &struct {
		Outputs any `json:"outputs"`
	}{outputs})
}

func main() {
	address, model, text := os.Args[1], os.Args[2], os.Args[3]
	var found Entities
	if err := predict(address, model, "serving_default", map[string]any{"text": []string{text}}, &found); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	for i := 0; i < found.Count[0]; i++ {
		// Go's strings are UTF-8 bytes, so the offsets fit as they are.
		fmt.Println(found.Labels[0][i], text[found.Starts[0][i]:found.Ends[0][i]])
	}
}
